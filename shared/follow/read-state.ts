import type { NatsConnection } from "@nats-io/transport-node";
import { CHECKPOINT_SUBJECT, stateSubject } from "../consistency/state/state-keys.ts";
import {
  decodeStored,
  generationOf,
  type StateCheckpoint,
  type StoredState,
  stateCheckpoint,
  storedState,
} from "../consistency/state/stored-state.ts";
import { getMessage } from "../nats/get-message.ts";
import { type ApiOptions, streamState, unlessMissing } from "../nats/jetstream-api.ts";
import { followsDomain } from "../protocol/control-records.ts";
import { STREAM } from "../protocol/names.ts";

export type StateRead =
  | { readonly kind: "found"; readonly state: StoredState; readonly checkpoint: StateCheckpoint }
  /** No event of it is folded. */
  | { readonly kind: "none"; readonly checkpoint: StateCheckpoint }
  /** The node keeps no states, or none of that domain. */
  | { readonly kind: "not-kept"; readonly reason: string };

/** A stored value that this version does not understand. */
export class StateUnreadable extends Error {
  override readonly name = "StateUnreadable";
}

/** How far the states of a node have come; undefined: it keeps none. @throws StateUnreadable, or the client's error */
export async function readStateCheckpoint(
  nc: NatsConnection,
  options: ApiOptions = {},
): Promise<StateCheckpoint | undefined> {
  const stored = await getState(nc, CHECKPOINT_SUBJECT, options);
  if (!stored) return undefined;
  const checkpoint = decodeStored(stateCheckpoint, stored.body);
  if (!checkpoint) throw new StateUnreadable(`${CHECKPOINT_SUBJECT} is of a later version`);
  return checkpoint;
}

/**
 * Reads an aggregate's state as the node's folder stored it.
 * @param options `prefix` to read another server's, as a hub's over the link
 * @throws StateUnreadable, or the client's error when nothing answers in time
 */
export async function readState(
  nc: NatsConnection,
  domain: string,
  aggregate: string,
  options: ApiOptions = {},
): Promise<StateRead> {
  let before: number | undefined;
  for (;;) {
    const checkpoint = await readStateCheckpoint(nc, options);
    if (!checkpoint) return { kind: "not-kept", reason: "the node keeps no states" };
    if (!followsDomain(checkpoint.domains, domain))
      return { kind: "not-kept", reason: `the node keeps no states of ${domain}` };
    const generation = generationOf(checkpoint, domain);
    // Of a generation that is no longer the present one nothing may be left.
    if (generation === before) return { kind: "none", checkpoint };
    const subject = stateSubject(generation, domain, aggregate);
    const stored = await getState(nc, subject, options);
    if (stored) {
      const state = decodeStored(storedState, stored.body);
      if (!state) throw new StateUnreadable(`${subject} is of a later version`);
      return { kind: "found", state, checkpoint };
    }
    before = generation;
  }
}

async function getState(nc: NatsConnection, subject: string, options: ApiOptions) {
  try {
    return await getMessage(nc, STREAM.state, { last_by_subj: subject }, options);
  } catch (error) {
    // Direct gets of a stream that is not there are answered by nobody.
    if ((await unlessMissing(streamState(nc, STREAM.state, options))) === undefined) return undefined;
    throw error;
  }
}
