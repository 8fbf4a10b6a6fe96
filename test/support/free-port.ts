import { createServer } from "node:net";

/**
 * A TCP port of 127.0.0.1 that was free a moment ago. For what must be written into a configuration before
 * its server starts; where a server can choose its own port, let it.
 */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0] as number;
}

/** Several at once: held together while they are chosen, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
