import { type NatsConnection, nuid } from "@nats-io/transport-node";
import {
  type HeldCommands,
  heldCommands,
  heldQuestionSubject,
  type ListeningPrograms,
  listeningPrograms,
  lostCommands,
  type WaitingCommand,
} from "../../protocol/held-commands.ts";

export interface HeldQuestion<T extends WaitingCommand> {
  /** The connection by which the commands were sent, or the question would overtake them. */
  readonly nc: NatsConnection;
  /** Where the question is sent. */
  readonly subject: string;
  /** Where answers are to be sent that come to an inbox of ours, and what we subscribe to for them. */
  readonly reply: (inbox: string) => string;
  readonly hear: (inbox: string) => readonly string[];
  /** The commands that wait for that leaf now. */
  readonly waiting: () => readonly T[];
}

/** A leaf's programs answer at once, if at all; one that began after the question is asked by the next. */
const ANSWERS_WITHIN_MS = 2_000;
const MOST_TRIES = 5;

/** Asks the programs on a leaf what they have, and gives the commands that are with nobody; none when it can't be known. */
export async function askForLost<T extends WaitingCommand>(question: HeldQuestion<T>): Promise<readonly T[]> {
  for (let tries = 0; tries < MOST_TRIES && !question.nc.isClosed(); tries++) {
    const waiting = question.waiting();
    if (waiting.length === 0) return [];
    const lost = await askOnce(question, waiting);
    if (lost !== undefined) return lost;
  }
  return [];
}

/** Connections of the programs on one's own node that handle commands; undefined: no agent answers. */
export async function askForPrograms(
  nc: NatsConnection,
  node: string,
): Promise<readonly number[] | undefined> {
  const question = {
    nc,
    subject: heldQuestionSubject(node),
    reply: asItIs,
    hear: (inbox: string) => [inbox],
  };
  return (await ask(question, (listening) => listening))?.programs;
}

const asItIs = (inbox: string) => inbox;

function askOnce<T extends WaitingCommand>(
  question: HeldQuestion<T>,
  waiting: readonly T[],
): Promise<readonly T[] | undefined> {
  return ask(question, (listening, answers) => lostCommands(waiting, listening, answers));
}

/** @returns what `judge` first finds in the answers; undefined: nothing in time */
function ask<R>(
  { nc, subject, reply, hear }: Omit<HeldQuestion<WaitingCommand>, "waiting">,
  judge: (listening: ListeningPrograms | undefined, answers: readonly HeldCommands[]) => R | undefined,
): Promise<R | undefined> {
  const inbox = `_INBOX.${nuid.next()}`;
  const answers: HeldCommands[] = [];
  let listening: ListeningPrograms | undefined;
  return new Promise((resolve) => {
    const end = (found: R | undefined) => {
      clearTimeout(timer);
      for (const subscription of subscriptions) subscription.unsubscribe();
      resolve(found);
    };
    const timer = setTimeout(() => end(undefined), ANSWERS_WITHIN_MS);
    const take = (data: Uint8Array) => {
      const said = readJson(data);
      const ofProgram = heldCommands.safeParse(said);
      if (ofProgram.success) answers.push(ofProgram.data);
      const ofAgent = listeningPrograms.safeParse(said);
      if (ofAgent.success) listening = ofAgent.data;
      const found = judge(listening, answers);
      if (found !== undefined) end(found);
    };
    const subscriptions = hear(inbox).map((heard) =>
      nc.subscribe(heard, { callback: (error, { data }) => void (error || take(data)) }),
    );
    nc.publish(subject, "", { reply: reply(inbox) });
  });
}

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    // Of a plain client that answers everything.
    return undefined;
  }
}
