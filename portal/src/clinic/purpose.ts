/** Purposes of use that staff can choose here, by their HL7 code, with their number (spec/consent.md section 5). Emergencies have their own way. */
export const purposes = [['TREAT', 1], ['HPAYMT', 9], ['HOPERAT', 10], ['HRESCH', 11], ['PUBHLTH', 14]] as const

const numbers: ReadonlyMap<string, number> = new Map<string, number>([...purposes, ['ETREAT', 2], ['BTG', 3], ['ERTREAT', 4], ['PATRQT', 15], ['FAMRQT', 16]])

/** numberOf is a purpose's number; 0 for a code that is none. */
export const numberOf = (code: string): number => numbers.get(code) ?? 0
