import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { LabError } from "./lab-error.ts";

/**
 * Below what the OS hands to outgoing connections: a server that was killed finds its port free when it is started
 * again, and nobody who dials it meanwhile can be given that very port and connect to himself.
 */
const lowestPort = 10_000;
const usualEphemeralStart = 32_768;
const attempts = 200;

/**
 * Gives a TCP port of `host` for each wish: the wished one if it is free, otherwise (and for `undefined`) another free
 * one. All are held while they are chosen, so none comes twice, and let go together.
 * @throws LabError when no free port is found
 */
export async function choosePorts(
  wishes: readonly (number | undefined)[],
  host: string,
  random: () => number = Math.random,
): Promise<number[]> {
  const end = Math.max(lowestPort + 1000, await ephemeralStart());
  const held: Server[] = [];
  const take = async (port: number): Promise<boolean> => {
    const server = await hold(host, port);
    if (server) held.push(server);
    return server !== undefined;
  };
  try {
    const ports: (number | undefined)[] = [];
    // Wishes first, so that no random choice sits on a port that a later one wishes.
    for (const wish of wishes) ports.push(wish !== undefined && (await take(wish)) ? wish : undefined);
    for (const [at, port] of ports.entries()) {
      if (port === undefined) ports[at] = await takeAny(take, end, random);
    }
    return ports as number[];
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

async function takeAny(
  take: (port: number) => Promise<boolean>,
  end: number,
  random: () => number,
): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = lowestPort + Math.floor(random() * (end - lowestPort));
    if (await take(port)) return port;
  }
  throw new LabError(`no free TCP port found between ${lowestPort} and ${end}: end what holds them`, 2);
}

async function hold(host: string, port: number): Promise<Server | undefined> {
  const server = createServer();
  server.listen({ host, port, exclusive: true });
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" || code === "EACCES") return undefined;
    throw new LabError(`cannot listen on ${host}: ${(error as Error).message}`, 2, { cause: error });
  }
}

/** Where Linux begins to number outgoing connections. */
async function ephemeralStart(): Promise<number> {
  const range = await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").catch(() => "");
  return Number.parseInt(range, 10) || usualEphemeralStart;
}
