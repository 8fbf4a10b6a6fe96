import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { errorText } from "../shared/protocol/error-text.ts";
import { type ControlReply, type ControlRequest, controlReply, controlRequest } from "./control-messages.ts";
import { LabError } from "./lab-error.ts";

/** sun_path of unix(7) is 108 bytes with its final zero. */
const longestSocketPath = 107;
const longestLine = 64 * 1024;

/** The socket on which a running lab takes requests; only its user may speak to it. */
export class ControlSocket implements AsyncDisposable {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #ownFolder: string | undefined;

  private constructor(path: string, server: Server, sockets: Set<Socket>, ownFolder: string | undefined) {
    this.path = path;
    this.#server = server;
    this.#sockets = sockets;
    this.#ownFolder = ownFolder;
  }

  /** Listens in the lab's folder, or in a short temporary one where that path would be too long for a socket. */
  static async listen(
    dir: string,
    answer: (request: ControlRequest) => Promise<unknown>,
  ): Promise<ControlSocket> {
    const near = join(dir, "control.sock");
    const tooLong = Buffer.byteLength(near) > longestSocketPath;
    const ownFolder = tooLong ? await mkdtemp(join(tmpdir(), "cim-lab-")) : undefined;
    const path = ownFolder ? join(ownFolder, "control.sock") : near;
    await rm(path, { force: true });
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      // A client that went away needs no reply.
      socket.on("error", () => socket.destroy());
      void serve(socket, answer);
    });
    server.listen(path);
    try {
      await once(server, "listening");
      await chmod(path, 0o600);
    } catch (cause) {
      throw new LabError(`cannot listen on the lab's control socket ${path}: ${errorText(cause)}`, 2, {
        cause,
      });
    }
    return new ControlSocket(path, server, sockets, ownFolder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    if (this.#ownFolder) await rm(this.#ownFolder, { recursive: true, force: true });
  }
}

/** Asks a running lab, and waits until it has done it. @throws LabError its own, or when it can't be asked */
export async function askLab(path: string, request: ControlRequest, timeoutMs: number): Promise<unknown> {
  const socket = connect({ path, allowHalfOpen: true });
  const timer = setTimeout(
    () => socket.destroy(new Error(`it did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  let reply: ControlReply;
  try {
    socket.end(`${JSON.stringify(request)}\n`);
    reply = controlReply.parse(JSON.parse(await readLine(socket)));
  } catch (cause) {
    throw new LabError(`the lab behind ${dirname(path)} can't be asked: ${errorText(cause)}`, 1, { cause });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  if (reply.ok) return reply.result;
  throw new LabError(reply.error, reply.exitCode);
}

async function serve(socket: Socket, answer: (request: ControlRequest) => Promise<unknown>): Promise<void> {
  let reply: ControlReply;
  try {
    const request = controlRequest.safeParse(JSON.parse(await readLine(socket)));
    if (!request.success) throw new LabError(`unknown request: ${request.error.issues[0]?.message}`, 2);
    reply = { ok: true, result: (await answer(request.data)) ?? null };
  } catch (error) {
    const exitCode = error instanceof Error && "exitCode" in error && error.exitCode === 2 ? 2 : 1;
    reply = { ok: false, error: errorText(error), exitCode };
  }
  socket.end(`${JSON.stringify(reply)}\n`);
}

async function readLine(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    if (text.length > longestLine) throw new Error("the line is too long");
  }
  throw new Error("the connection ended before a whole line");
}
