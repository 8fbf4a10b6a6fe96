import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fromSeed } from "@nats-io/nkeys";
import { eventually } from "./eventually.ts";

export interface RawLeaf extends Disposable {
  /** Sends protocol text as it is. */
  send(text: string): void;
  /** Everything that came so far. */
  readonly heard: string;
  readonly closed: boolean;
}

/** A leaf that does as it likes: links with a valid key, then says whatever the test wants. */
export async function linkRawLeaf(port: number, name: string, seed: string): Promise<RawLeaf> {
  const socket: Socket = connect({ host: "127.0.0.1", port });
  let heard = "";
  let closed = false;
  socket.on("data", (data) => {
    heard += data.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  await once(socket, "connect");
  const info = JSON.parse(await eventually(() => /^INFO (.*)\r\n/.exec(heard)?.[1])) as { nonce: string };
  const pair = fromSeed(new TextEncoder().encode(seed));
  const signature = Buffer.from(pair.sign(new TextEncoder().encode(info.nonce))).toString("base64url");
  const options = {
    nkey: pair.getPublicKey(),
    sig: signature,
    name,
    cluster: name,
    headers: true,
    domain: name,
  };
  socket.write(`CONNECT ${JSON.stringify(options)}\r\nPING\r\n`);
  await eventually(() => closed || heard.includes("PONG"), { what: "the hub's answer to CONNECT" });
  return {
    send: (text) => void socket.write(text),
    get heard() {
      return heard;
    },
    get closed() {
      return closed;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
