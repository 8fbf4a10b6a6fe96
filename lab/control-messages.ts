import * as z from "zod";

/** What a running lab may be asked: one JSON line each way, over its control socket. */
const what = z.enum(["nats", "daemon", "both"]);
const node = z.string();

export const controlRequest = z.discriminatedUnion("do", [
  z.strictObject({ do: z.literal("status") }),
  z.strictObject({ do: z.literal("link"), leaf: node, condition: z.string() }),
  z.strictObject({ do: z.enum(["kill", "stop", "cont", "start"]), node, what }),
  z.strictObject({
    do: z.literal("add"),
    leaf: node,
    region: z.string().optional(),
    capabilities: z.array(z.string()),
  }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
export type NodePart = z.infer<typeof what>;

export const controlReply = z.discriminatedUnion("ok", [
  z.strictObject({ ok: z.literal(true), result: z.unknown() }),
  z.strictObject({
    ok: z.literal(false),
    error: z.string(),
    exitCode: z.union([z.literal(1), z.literal(2)]),
  }),
]);

export type ControlReply = z.infer<typeof controlReply>;
