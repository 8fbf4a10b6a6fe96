import type { ControlRequest, NodePart } from "./control-messages.ts";
import type { Lab } from "./lab.ts";
import { describeLinkCondition, parseLinkCondition } from "./link-condition.ts";

const partNames: Readonly<Record<NodePart, string>> = {
  nats: "nats-server",
  daemon: "daemon",
  both: "nats-server and daemon",
};
const done = { kill: "killed", stop: "stopped (SIGSTOP)", cont: "continued", start: "started" } as const;

/** Does what another process asks of this lab; the answer is the fleet as it then is. */
export async function answerControl(lab: Lab, request: ControlRequest): Promise<unknown> {
  switch (request.do) {
    case "status":
      break;
    case "link": {
      const condition = parseLinkCondition(request.condition);
      await lab.link(request.leaf).set(condition);
      lab.notice(`link of ${request.leaf}: ${describeLinkCondition(condition)}`);
      break;
    }
    case "add": {
      const { region, capabilities } = request;
      const leaf = await lab.addLeaf(request.leaf, { ...(region !== undefined && { region }), capabilities });
      lab.notice(`${leaf.name} added: ${leaf.natsUrl}`);
      break;
    }
    default:
      await lab.node(request.node)[request.do](request.what);
      lab.notice(`${request.node}'s ${partNames[request.what]} ${done[request.do]}`);
  }
  return lab.document;
}
