import { EVENTS_PREFIX, isToken } from "./subjects.ts";

/** Where programs may replay events to without further rights: no stream of cim captures them there. */
export const REPLAY_PREFIX = "cim.replay";

/** On a replayed event: it happened before, and this is not its first telling. */
export const REPLAY_HEADER = "Cim-Replay";

/** Why events may not be replayed below a prefix, with what to write instead; undefined: they may. Pure. */
export function replayPrefixFault(prefix: string): string | undefined {
  const tokens = prefix.split(".");
  const instead = `write one as ${REPLAY_PREFIX}.test`;
  if (!tokens.every(isToken)) return `"${prefix}" is not a subject prefix; ${instead}`;
  if (tokens[0]?.startsWith("$") || tokens[0]?.startsWith("_")) {
    return `"${prefix}" belongs to nats-server and its clients; ${instead}`;
  }
  // What is below `cim.` is stored, routed or answered: a replayed event there would be taken for a new one.
  if (tokens[0] === "cim" && tokens[1] !== "replay") {
    return `"${prefix}" is live: events replayed there would be taken for new ones; ${instead}`;
  }
  return undefined;
}

/** Where an event goes: its subject with `cim.events.` exchanged for the prefix. */
export function replaySubject(prefix: string, eventSubject: string): string {
  return `${prefix}.${eventSubject.slice(EVENTS_PREFIX.length)}`;
}
