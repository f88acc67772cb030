// A backend service signs in with its key, and only with it.
import assert from "node:assert/strict";
import test from "node:test";
import { Backend, fhir } from "./network.mjs";

const endpoint = async () => (await (await fetch(fhir + "/.well-known/smart-configuration")).json()).token_endpoint;

test("a backend service gets a token with its key and reads with it", async () => {
  const b = await new Backend(["system/Patient.rs"]).register();
  const token = await b.accessToken();
  const headers = { Authorization: `Bearer ${token}` };
  assert.equal((await fetch(fhir + "/Patient", { headers })).status, 200);
  assert.equal((await fetch(fhir + "/Observation", { headers })).status, 403);
  assert.equal((await fetch(fhir + "/Patient", { method: "POST", headers: { ...headers, "Content-Type": "application/fhir+json" }, body: '{"resourceType":"Patient"}' })).status, 403);
  assert.equal((await fetch(fhir + "/Patient", { headers: { Authorization: "Bearer nothing" } })).status, 401);
});

test("an assertion serves once, for this server, in its time, with the registered key", async () => {
  const b = await new Backend(["system/Patient.rs"]).register();
  const at = await endpoint();
  const once = b.assertion(at);
  assert.equal((await b.grant(at, once)).status, 200);
  const others = {
    again: once,
    "another audience": b.assertion("https://elsewhere.example/token"),
    over: b.assertion(at, { exp: Math.floor(Date.now() / 1000) - 60 }),
    "another's key": Object.assign(new Backend(b.scopes), { id: b.id, kid: b.kid }).assertion(at),
  };
  for (const [what, assertion] of Object.entries(others)) {
    const r = await b.grant(at, assertion);
    assert.equal(r.status, 400 + (r.status === 401), what);
    assert.equal((await r.json()).error, "invalid_client", what);
  }
});
