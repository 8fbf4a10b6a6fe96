import { routedCommandPrefix } from "../../shared/protocol/commands.ts";
import { isOwnCommand } from "../../shared/protocol/held-commands.ts";

/** A subscription as nats-server lists it (`SubDetail` in server/client.go), the parts that are used. */
export interface ListedSubscription {
  readonly subject: string;
  /** The connection, as the server counts them. */
  readonly cid: number;
}

/** Who listens for commands on a node. */
export interface Listeners {
  /** Commands, as `orders.Place` or `orders.>`, sorted. */
  readonly handlers: readonly string[];
  /** Those for which a program listens that does not say which commands it has, sorted. */
  readonly silent: readonly string[];
  /** Connections that listen for commands. */
  readonly connections: ReadonlySet<number>;
  /** Connections that say which commands they have. */
  readonly telling: ReadonlySet<number>;
}

const MOST_HANDLERS = 10_000;

export const NOBODY_LISTENS: Listeners = {
  handlers: [],
  silent: [],
  connections: new Set(),
  telling: new Set(),
};

/** Reads a server's list of subscriptions. Pure. @param question what those subscribe to that say which commands they have */
export function listenersOf(
  listed: readonly ListedSubscription[],
  node: string,
  question: string,
): Listeners {
  const prefix = routedCommandPrefix(node);
  const telling = new Set(listed.filter(({ subject }) => subject === question).map(({ cid }) => cid));
  const heard = listed
    .filter(({ subject }) => subject.startsWith(prefix))
    .map(({ subject, cid }) => ({ name: subject.slice(prefix.length), cid }))
    .filter(({ name }) => !isOwnCommand(name));
  const names = (of: typeof heard) => [...new Set(of.map(({ name }) => name))].sort().slice(0, MOST_HANDLERS);
  return {
    handlers: names(heard),
    silent: names(heard.filter(({ cid }) => !telling.has(cid))),
    connections: new Set(heard.map(({ cid }) => cid)),
    telling,
  };
}
