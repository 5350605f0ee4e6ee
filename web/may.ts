/**
 * Whether whoever sees a page may do something: what he may not is not offered to him. The server decides all the same.
 * @param route As the table of rules has it: `GET /transfers/:transfer`
 */
export type May = (route: string) => boolean

/** Where no credentials are asked for. */
export const mayAll: May = () => true
