import { bodyFault } from "../../shared/consistency/contract/body-fault.ts";
import type { DomainContract } from "../../shared/consistency/contract/contract.ts";
import type { ShippedEvent } from "../../shared/protocol/event.ts";

/** On which way an event comes to the log: from an outbox, or as a commit. */
export type Way = "outbox" | "commit";

/**
 * Whether an event is against its domain's contract. Its node should not have let it in: it has other contracts, or had them
 * when it was written.
 */
export function breaksContract(
  { body }: Pick<ShippedEvent, "body">,
  contract: DomainContract,
  way: Way,
): boolean {
  // What an outbox took was not judged against the log: in a strong domain it may be on top of anything.
  if (way === "outbox" && contract.mode === "strong") return true;
  return bodyFault(contract, body) !== undefined;
}
