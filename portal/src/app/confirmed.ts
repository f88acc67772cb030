/**
 * The credentials of each account that confirmed something since this page was opened: in
 * memory only. Another passkey is not made where one of them is, and a change of keys is
 * signed by one of them, not by one that the ledger does not know yet.
 */
const confirmed = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>()

/** confirms remembers a credential of an account that signed, and was believed. */
export function confirms(account: string, c: PublicKeyCredential): void {
  const of = confirmed.get(account) ?? new Map<string, Uint8Array<ArrayBuffer>>()
  confirmed.set(account, of.set(c.id, new Uint8Array(c.rawId)))
}

/** confirmedOf are the credentials that confirmed something for an account. */
export const confirmedOf = (account: string): readonly Uint8Array<ArrayBuffer>[] => [...(confirmed.get(account)?.values() ?? [])]
