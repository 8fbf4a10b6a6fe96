import { BUCKET } from "../../protocol/names.ts";

// The keys of the bucket CIM_STATE: `g<generation>.<domain>.<aggregate>` is an aggregate's state, `_…` the folder's own.

const PREFIX = `$KV.${BUCKET.state}.`;

/** How far the states have come, and which generation of them is the present one. One message, replaced with every batch. */
export const CHECKPOINT_SUBJECT = `${PREFIX}_checkpoint`;

/** The same of states that are being rebuilt; absent while none are. */
export const REBUILD_SUBJECT = `${PREFIX}_rebuild`;

/** Events that were set aside because they can't be folded. */
export const POISONED_SUBJECTS = `${PREFIX}_poisoned.>`;

/** Of one such event: by the index that the log gave it. */
export const poisonedSubject = (generation: number, index: number): string =>
  `${PREFIX}_poisoned.g${generation}.${index}`;

/** All of one generation's. */
export const poisonedOf = (generation: number): string => `${PREFIX}_poisoned.g${generation}.*`;

/** Where an aggregate's state is stored. */
export const stateSubject = (generation: number, domain: string, aggregate: string): string =>
  `${PREFIX}g${generation}.${encodeTokens(domain)}.${encodeTokens(aggregate)}`;

/** Every state of a generation, or of one of its domains. */
export const statesOf = (generation: number, domain?: string): string =>
  domain === undefined ? `${PREFIX}g${generation}.>` : `${PREFIX}g${generation}.${encodeTokens(domain)}.>`;

/** What a subject is the state of; undefined: it is none. */
export function parseStateSubject(
  subject: string,
): { readonly generation: number; readonly domain: string; readonly aggregate: string } | undefined {
  if (!subject.startsWith(PREFIX)) return undefined;
  const match = /^g(\d{1,15})\.([^.]+)\.(.+)$/.exec(subject.slice(PREFIX.length));
  if (!match) return undefined;
  const [, generation, domain, aggregate] = match as unknown as [string, string, string, string];
  return {
    generation: Number(generation),
    domain: decodeTokens(domain),
    aggregate: decodeTokens(aggregate),
  };
}

const PLAIN = /^[A-Za-z0-9_.-]*$/;

/** KV clients take letters, digits and `-_=./` in a key: all else, and `=` itself, is `=` and the byte in hexadecimal. */
function encodeTokens(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    encoded += byte < 0x80 && PLAIN.test(character) ? character : `=${byte.toString(16).padStart(2, "0")}`;
  }
  return encoded;
}

function decodeTokens(text: string): string {
  if (!text.includes("=")) return text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "=") {
      bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16));
      at += 2;
    } else bytes.push(text.charCodeAt(at));
  }
  return Buffer.from(bytes).toString("utf8");
}
