import { type Msg, type NatsConnection, NoRespondersError, type Subscription } from "@nats-io/transport-node";
import { LRUCache } from "lru-cache";
import { liveRequest } from "../../nats/live-request.ts";
import { EncodedHeaders } from "../../nats/raw-message.ts";
import {
  answeredSubject,
  answerSubject,
  COMMAND_HEADER,
  COMMAND_SUBJECT,
  directCommandSubject,
  type FleetChanged,
  fleetChanged,
  type RouteAnswer,
  routeAnswer,
  routeAskSubject,
  routedCommandSubject,
} from "../../protocol/commands.ts";
import { heldDirectSubject, heldQuestionSubject } from "../../protocol/held-commands.ts";
import { AnswerInbox, type Call, type OpenCall } from "./answer-inbox.ts";
import { askForLost } from "./ask-held.ts";
import { CommandUnanswered } from "./command-errors.ts";

interface Route extends RouteAnswer {
  turn: number;
}

interface DirectCall extends Call {
  readonly node: string;
  readonly domain: string;
  readonly command: string;
}

/** What goes to a leaf by a route. */
export interface DirectCommand {
  readonly domain: string;
  readonly command: string;
  readonly id: string;
  readonly body: string;
  /** What is asked of the leaf, as header lines. */
  readonly headerText: string;
}

const MOST_ROUTES = 1_000;
/** Though every change is told: a notice may be lost with the link. */
const KEPT_MS = 30_000;

/**
 * Routes that were asked for and are kept until the fleet changes, and the commands that are sent by them, past the
 * coordinator. Answers come over one subscription.
 */
export class KeptRoutes {
  readonly #nc: NatsConnection;
  readonly #node: string;
  readonly #routes = new LRUCache<string, Route>({ max: MOST_ROUTES, ttl: KEPT_MS });
  readonly #inbox: AnswerInbox<DirectCall>;
  readonly #subscriptions: Subscription[];
  /** As the coordinator said with the first route. */
  #isHub = false;

  constructor(nc: NatsConnection, node: string) {
    this.#nc = nc;
    this.#node = node;
    const hear = (subject: string, heard: (message: Msg) => void) =>
      nc.subscribe(subject, { callback: (error, message) => void (error || heard(message)) });
    this.#inbox = new AnswerInbox(nc);
    this.#subscriptions = [
      // That nobody listens is told where the answer would have been published.
      hear(answerSubject("*", node, `${this.#inbox.prefix}.*`), (message) => this.#inbox.take(message)),
      hear(COMMAND_SUBJECT.fleetChanged, ({ data }) => this.#changed(data)),
    ];
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#inbox.close();
  }

  /** @throws {NoRespondersError} not by a route now; what the client throws, and `CommandUnanswered` */
  async send(command: DirectCommand, timeoutMs: number): Promise<Msg> {
    const key = `${command.domain} ${command.command} ${command.headerText}`;
    let route = this.#routes.get(key);
    if (route === undefined) {
      const asked = await this.#ask(command, timeoutMs);
      // Refused, with the reason: as an answer to the command.
      if ("refused" in asked) return asked.refused;
      route = asked;
      this.#routes.set(key, route);
    }
    const node = route.nodes[route.turn++ % route.nodes.length] as string;
    try {
      return await this.#sendTo(node, command, timeoutMs);
    } catch (error) {
      if (error instanceof NoRespondersError) this.#routes.delete(key);
      throw error;
    }
  }

  async #ask(command: DirectCommand, timeoutMs: number): Promise<Route | { readonly refused: Msg }> {
    const { domain, command: name, headerText } = command;
    const answer = await liveRequest(this.#nc, routeAskSubject(this.#node, domain, name), "", {
      timeout: timeoutMs,
      ...(headerText !== "" && { headers: new EncodedHeaders(headerText) }),
    });
    if (answer.headers?.get(COMMAND_HEADER.error)) return { refused: answer };
    const route = { ...routeAnswer.parse(answer.json()), turn: 0 };
    if (route.callerIsHub && !this.#isHub) {
      this.#isHub = true;
      const subject = answeredSubject(this.#node, `${this.#inbox.prefix}.*`);
      this.#subscriptions.push(
        this.#nc.subscribe(subject, {
          callback: (error, message) => void (error || this.#inbox.take(message)),
        }),
      );
    }
    return route;
  }

  #sendTo(
    node: string,
    { domain, command, id, body, headerText }: DirectCommand,
    timeoutMs: number,
  ): Promise<Msg> {
    const isHere = node === this.#node;
    const subject = isHere
      ? routedCommandSubject(node, domain, command)
      : directCommandSubject(this.#node, node, domain, command);
    const what = `${domain}.${command}`;
    const onTimeout = () => {
      const message = `${what} was not answered by ${node} within ${timeoutMs} ms; whether it was done is not known`;
      return new CommandUnanswered("timeout", message, { id, node });
    };
    const call = { id, what, mayRepeat: false, timeoutMs, onTimeout, node, domain, command };
    return this.#inbox.ask(call, (inbox) =>
      this.#nc.publish(subject, body, {
        reply: this.#replyOf(node, inbox),
        ...(headerText !== "" && { headers: new EncodedHeaders(headerText) }),
      }),
    );
  }

  /** What a leaf is given as the reply subject. */
  #replyOf(node: string, inbox: string): string {
    return node === this.#node ? inbox : answerSubject(node, this.#node, inbox);
  }

  #changed(data: Uint8Array): void {
    let changed: FleetChanged = { gone: [] };
    try {
      changed = fleetChanged.parse(JSON.parse(Buffer.from(data).toString("utf8")));
    } catch {
      // Of a newer coordinator: routes are asked for anew all the same.
    }
    const { gone, ended = [] } = changed;
    for (const node of ended) void this.#programEnded(node);
    if (ended.length > 0 && gone.length === 0) return;
    this.#routes.clear();
    for (const open of this.#inbox.open) {
      const { id, node } = open.call;
      if (!gone.includes(node)) continue;
      const message = `${node} went away with the command; whether it was done is not known`;
      this.#inbox.fail(open, new CommandUnanswered("node-gone", message, { id, node }));
    }
  }

  async #programEnded(node: string): Promise<void> {
    const here = this.#node;
    const isHere = node === here;
    const lost = await askForLost({
      nc: this.#nc,
      subject: isHere ? heldQuestionSubject(node) : heldDirectSubject(here, node),
      reply: (inbox) => this.#replyOf(node, inbox),
      // The hub's own programs hear answers elsewhere than others.
      hear: (inbox) => (this.#isHub ? [answeredSubject(here, inbox)] : [inbox]),
      waiting: () =>
        this.#inbox.open.filter(({ call }) => call.node === node).map((open) => this.#waitingOf(open)),
    });
    for (const { open, domain, command } of lost) {
      const { id } = open.call;
      const message = `the program on ${node} ended that had ${domain}.${command}; whether it was done is not known`;
      this.#inbox.fail(open, new CommandUnanswered("handler-gone", message, { id, node }));
    }
  }

  #waitingOf(open: OpenCall<DirectCall>) {
    const { node, domain, command } = open.call;
    return { open, domain, command, reply: this.#replyOf(node, open.inbox) };
  }
}
