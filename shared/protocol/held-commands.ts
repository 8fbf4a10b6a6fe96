import * as z from "zod";
import {
  answerSubject,
  commandSubject,
  coversCommand,
  directCommandSubject,
  routedCommandSubject,
} from "./commands.ts";
import { isAnswerable } from "./subjects.ts";

// What becomes of commands whose program ended. Nobody announces what it takes, so it is asked for: which commands do the
// programs on that leaf still have? The question goes the way of the commands, and the answers go the way of theirs. Both
// ways keep their order: who hears all answers has heard before them what was answered in time, and every command that was
// sent before the question has reached its program before it.

/** No domain of anybody begins with `_`. */
const DOMAIN = "_cim";
const QUESTION = "held";

/** Asked of the programs and the agent of a leaf: by the coordinator, and by a program on the leaf itself. */
export const heldQuestionSubject = (leaf: string): string => routedCommandSubject(leaf, DOMAIN, QUESTION);
/** The same, asked by a program on another node. */
export const heldDirectSubject = (caller: string, leaf: string): string =>
  directCommandSubject(caller, leaf, DOMAIN, QUESTION);
/** Whether that is one of the questions among a node's commands, and no command. */
export const isOwnCommand = (name: string): boolean => name.startsWith(`${DOMAIN}.`);

/** Whether an agent answers the question there: where commands are answered, and where daemons are. */
export const isHeldReply = (reply: string | undefined, leaf: string): boolean =>
  isAnswerable(reply) || (reply?.startsWith(answerSubject(leaf, "", "").slice(0, -1)) ?? false);

/** The agent tells the coordinator that a program ended which may have had commands. */
export const programEndedSubject = (leaf: string): string => `cim.coordinator.${leaf}.program-ended`;
export const PROGRAMS_ENDED = "cim.coordinator.*.program-ended";

/** A handler tells the coordinator that it has answered a command whose answer does not leave the leaf: the reply subject. */
export const doneSubject = commandSubject(DOMAIN, "done");
const DONE_END = `.commands.${DOMAIN}.done`;
/** As the coordinator hears it: the leaf; undefined: it is something else. */
export function doneAt(subject: string): string | undefined {
  return subject.endsWith(DONE_END) ? subject.split(".")[2] : undefined;
}

/** A handler's answer to the question. */
export const heldCommands = z.object({
  /** The program's connection, as its server counts them. */
  program: z.number().int(),
  /** Reply subjects of the commands that it has. */
  held: z.array(z.string()),
  /** There are more than these. */
  more: z.boolean(),
});
export type HeldCommands = z.infer<typeof heldCommands>;

/** The agent's answer to it. */
export const listeningPrograms = z.object({
  /** Connections of programs that answer the question. */
  programs: z.array(z.number().int()),
  /** Commands, as `orders.Place` or `orders.>`, for which others listen: plain clients, which do not. */
  silent: z.array(z.string()),
});
export type ListeningPrograms = z.infer<typeof listeningPrograms>;

/** A command that waits for its answer. */
export interface WaitingCommand {
  readonly domain: string;
  readonly command: string;
  /** Where its answer is sent: what it is known by. */
  readonly reply: string;
}

/**
 * Which of the commands nobody has any more. Pure.
 * @returns undefined: not everybody who must be heard has answered yet
 */
export function lostCommands<T extends WaitingCommand>(
  waiting: readonly T[],
  listening: ListeningPrograms | undefined,
  answers: readonly HeldCommands[],
): readonly T[] | undefined {
  if (listening === undefined) return undefined;
  const answered = new Set(answers.map(({ program }) => program));
  if (listening.programs.some((program) => !answered.has(program))) return undefined;
  // One that has more than it can say may have any.
  if (answers.some(({ more }) => more)) return [];
  const held = new Set(answers.flatMap((answer) => answer.held));
  return waiting.filter(
    ({ reply, domain, command }) =>
      !held.has(reply) && !listening.silent.some((pattern) => coversCommand(pattern, domain, command)),
  );
}
