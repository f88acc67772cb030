/** Search over everything that is shown, without regard to case and diacritics. */
import { type Item, narrativeOf, textsOf } from './item.ts'
import { words } from './narrative.ts'
import { fold } from './value.ts'

/** Index is made once a record, and kept with it. */
export type Index = readonly { readonly item: Item; readonly text: string }[]

export const indexItems = (items: readonly Item[]): Index =>
  items.map((item) => ({ item, text: fold([item.type, item.title, item.when?.text ?? '', ...item.facts.map((f) => f.value), ...textsOf(item.json), words(narrativeOf(item.json))].join(' ')) }))

/** search gives the items that hold every word of the query, in the order of the index; none for an empty one. */
export function search(index: Index, query: string): Item[] {
  const wanted = fold(query).split(/\s+/).filter((w) => w !== '').slice(0, 12)
  if (wanted.length === 0) return []
  return index.filter((x) => wanted.every((w) => x.text.includes(w))).map((x) => x.item)
}
