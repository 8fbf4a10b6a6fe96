import { createHash } from "node:crypto";
import { once } from "node:events";
import { realpath } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { LabError } from "./lab-error.ts";
import { isRunning } from "./process-identity.ts";
import { readLabState } from "./state.ts";

/**
 * Holds a lab's folder for this process: a socket in Linux's abstract namespace (unix(7)), which no crash leaves
 * behind and of which two processes can't both get the name, unlike any file with a pid in it.
 */
export class FolderLock implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws LabError when another live lab holds the folder; the message names its pid */
  static async take(dir: string): Promise<FolderLock> {
    const name = createHash("sha256")
      .update(await realpath(dir))
      .digest("hex")
      .slice(0, 32);
    const server = createServer((socket) => socket.destroy());
    server.listen(`\0cim-lab-${name}`);
    try {
      await once(server, "listening");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EADDRINUSE") {
        throw new LabError(`cannot hold the lab's folder ${dir}: ${(cause as Error).message}`, 2, { cause });
      }
      throw new LabError(`${await whoHolds(dir)}: end it first, or choose another --dir`, 2, { cause });
    }
    server.unref();
    return new FolderLock(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function whoHolds(dir: string): Promise<string> {
  const lab = (await readLabState(dir).catch(() => undefined))?.lab;
  // The holder may not have written its state yet.
  if (lab && (await isRunning(lab))) return `a lab already runs in ${dir} (pid ${lab.pid})`;
  return `another lab is starting or ending in ${dir}`;
}
