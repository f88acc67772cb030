/**
 * What this wallet believes of the ledger: what is proven to it, from the genesis
 * that this browser saw first, through signed headers. The gateway only carries it.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { equal, LightClient, ProvenFacts, VerifiedFacts } from '../core'
import { keeper, type Keeper, type Light, lightName } from '../looked/keep'
import { type About, getBytes, postBytes, Problem } from './api'

/** trusted begins at what this browser pinned, or at the genesis that it sees first. @throws Problem pin: the gateway has the genesis of another network */
async function trusted(genesis: Uint8Array, keep: Keeper): Promise<LightClient> {
  const light = await keep.get<Light>(lightName)
  if (light === undefined) return new LightClient(genesis)
  if (!equal(light.genesis, sha256(genesis))) throw new Problem('pin', 'portal: the genesis is not the one that this browser knows')
  return LightClient.restore(genesis, light.saved)
}

/**
 * provenFacts gives what a Reader needs to know: committee, keys and batches, each proven
 * in a state of the height least or later. An answer that is not proven is a FactError.
 * @throws Problem, Refusal
 */
export async function provenFacts(about: About, least: bigint, keep: Keeper = keeper): Promise<VerifiedFacts> {
  const genesis = await getBytes('genesis')
  const client = await trusted(genesis, keep)
  if (client.chain !== about.chain) throw new Problem('pin', 'portal: the genesis is of another network')
  const ask = (request: Uint8Array) => postBytes('proofs', new Uint8Array(request))
  return new VerifiedFacts(
    new ProvenFacts({
      client,
      least,
      ask,
      header: (h) => getBytes(`headers/${h}`),
      seen: (c) => void keep.put(lightName, { genesis: sha256(genesis), saved: c.save() } satisfies Light).catch(() => undefined),
    }),
  )
}
