// Calls of the control API, through the door on our own origin.

const callTimeout = 16000; // ms; the door gives up on the daemon after 15 s

const tries = 2; // a change of the machine's addresses makes a call fail that is just being made
const pause = 50; // ms between the two

// call sends JSON and gives {ok, status, data, problem}. It never throws: a door
// that is gone reads as the problem daemon_unreachable. A command that is sent
// again keeps its key: it acts once, whichever of the two arrived.
export async function call(method, path, body, key = crypto.randomUUID()) {
  const headers = {};
  if (method !== "GET") headers["Idempotency-Key"] = key;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await reach(path, {
      method, headers, signal: AbortSignal.timeout(callTimeout),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const data = (answer.headers.get("Content-Type") ?? "").includes("json") ? await answer.json() : null;
    return answer.ok ? { ok: true, status: answer.status, data } : { ok: false, status: answer.status, problem: data };
  } catch {
    return { ok: false, status: 0, problem: { code: "daemon_unreachable" } };
  }
}

// reach is fetch with a second try where there was no answer at all.
async function reach(path, options) {
  for (let left = tries; ; await new Promise((done) => { setTimeout(done, pause); })) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (--left === 0 || error.name !== "TypeError") throw error;
    }
  }
}
