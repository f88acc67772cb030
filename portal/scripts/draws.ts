import fc from 'fast-check'

// Property tests draw the same every time, so that a change is judged by what it changed. `make explore`
// empties the seed; a failure then names its own.
const { DRAW_SEED = '1' } = process.env

if (DRAW_SEED !== '') {
  fc.configureGlobal({ seed: Number(DRAW_SEED) })
}
