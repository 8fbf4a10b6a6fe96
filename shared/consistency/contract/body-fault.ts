import { checkData } from "../resolve/check-data.ts";
import type { DomainContract } from "./contract.ts";

/**
 * What in an event's body is against its domain's contract; undefined: nothing. Only typed fields demand something, and an
 * own module takes their place. Asked where an event is appended, and again where it enters the log.
 * @param body as it is stored; empty: there is no data, which is always right
 */
export function bodyFault(contract: DomainContract, body: Uint8Array): string | undefined {
  if (contract.resolver !== "crdt" || contract.module !== null || body.byteLength === 0) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    return "it is not JSON";
  }
  return checkData(contract, data);
}
