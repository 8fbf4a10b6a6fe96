import { EVENTS_PREFIX, isToken } from "../shared/protocol/subjects.ts";
import { usage } from "./failure.ts";

/**
 * What people write for events, as subjects: `person`, `person.ada`, `person.*.PersonCreated`, `person.>`, with or without
 * `cim.events.` in front. A filter means what it names and all below it.
 * @throws CommandFailure one line that says what to write
 */
export function eventFilters(text: string | undefined, where: string): readonly string[] {
  if (text === undefined) return [];
  const rest = text.startsWith(EVENTS_PREFIX) ? text.slice(EVENTS_PREFIX.length) : text;
  const tokens = rest.split(".");
  const valid = tokens.every(
    (token, at) => token === "*" || isToken(token) || (token === ">" && at === tokens.length - 1),
  );
  if (!valid) {
    throw usage(
      `${where}: "${text}" is not a filter; write a domain, or more of a subject, as person, person.ada or person.*.PersonCreated`,
    );
  }
  const subject = EVENTS_PREFIX + rest;
  if (tokens.at(-1) === ">") return [subject];
  // A domain alone is no event's subject.
  return tokens.length === 1 ? [`${subject}.>`] : [subject, `${subject}.>`];
}
