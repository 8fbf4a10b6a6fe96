import * as z from "zod";
import { key } from "./described-key.ts";
import { domainOrAll } from "./value-kinds.ts";

export const stateSection = z.strictObject({
  enabled: key(z.boolean().optional(), {
    what: "Whether the node keeps the state of every aggregate in the bucket CIM_STATE, folded from its log or copy. Left out: a hub does, a leaf does not.",
    write: "true or false",
  }),
  domains: key(z.array(domainOrAll).min(1).max(1000).default(["*"]), {
    what: 'Domains whose states are kept; ["*"] is all that the node has events of.',
    write: 'a list of domains, as ["person", "orders"], or ["*"] for all',
  }),
});
