import { expect, test } from 'vitest'
import { addIntegrity, integrity, preload } from './sri'

const files = new Map([['assets/a.js', 'export {}'], ['assets/a.css', 'a{}']])
const file = (name: string) => files.get(name)

test('scripts, preloads and stylesheets get the hash of their bytes', () => {
  const page = '<link rel="icon" href="i.png"><script type="module" crossorigin src="./assets/a.js"></script><link rel="stylesheet" href="/assets/a.css" />'
  expect(addIntegrity(page, file)).toBe(
    `<link rel="icon" href="i.png"><script type="module" crossorigin src="./assets/a.js" integrity="${integrity('export {}')}"></script>` +
      `<link rel="stylesheet" href="/assets/a.css" crossorigin integrity="${integrity('a{}')}">`,
  )
})

test('an inline script or a script from elsewhere fails the build', () => {
  expect(() => addIntegrity('<script>alert(1)</script>', file)).toThrow('inline')
  expect(() => addIntegrity('<script src="https://cdn.example/x.js"></script>', file)).toThrow('not in the build')
})

test('chunks that come later are in the page, with their integrity, once', () => {
  const page = '<head><script src="./assets/index-1.js"></script></head>'
  const html = addIntegrity(preload(page, ['assets/Record-2.js', 'assets/index-1.js']), () => 'x')
  expect(html.match(/integrity="sha384-/g)).toHaveLength(2)
  expect(html).toContain('rel="modulepreload" crossorigin href="./assets/Record-2.js" integrity=')
})
