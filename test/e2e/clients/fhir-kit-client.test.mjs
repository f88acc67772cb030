// fhir-kit-client does what an integration would: everything of a resource's life, and bundles.
import assert from "node:assert/strict";
import test, { before } from "node:test";
import { Client } from "fhir-kit-client";
import { Backend, fhir, observation } from "./network.mjs";

let client;

before(async () => {
  const backend = await new Backend(["system/*.cruds"]).register();
  client = new Client({ baseUrl: fhir, bearerToken: await backend.accessToken() });
});

test("discovery", async () => {
  const meta = await client.smartAuthMetadata();
  assert.ok(meta.tokenUrl && meta.authorizeUrl);
  const statement = await client.capabilityStatement();
  assert.equal(statement.fhirVersion, "4.0.1");
  assert.ok(statement.rest[0].resource.some((r) => r.type === "Observation" && r.searchParam.length > 10));
});

test("a resource's life", async () => {
  const made = await client.create({ resourceType: "Patient", body: { resourceType: "Patient", name: [{ family: "Kit", given: ["Sample"] }], birthDate: "1980-02-03" } });
  assert.equal(made.meta.versionId, "1");
  const { id } = made;
  const read = await client.read({ resourceType: "Patient", id });
  assert.deepEqual(read, made);
  const changed = await client.update({ resourceType: "Patient", id, body: { ...read, active: true } });
  assert.equal(changed.meta.versionId, "2");
  await assert.rejects(
    client.update({ resourceType: "Patient", id, body: { ...read, active: false }, options: { headers: { "If-Match": 'W/"1"' } } }),
    (e) => e.response.status === 412,
  );
  const patched = await client.patch({ resourceType: "Patient", id, jsonPatch: [{ op: "add", path: "/gender", value: "female" }] });
  assert.equal(patched.gender, "female");
  assert.equal((await client.vread({ resourceType: "Patient", id, version: "1" })).active, undefined);
  const history = await client.history({ resourceType: "Patient", id });
  assert.deepEqual(history.entry.map((e) => e.resource.meta.versionId), ["3", "2", "1"]);
  await client.delete({ resourceType: "Patient", id });
  await assert.rejects(client.read({ resourceType: "Patient", id }), (e) => e.response.status === 410);
});

test("a transaction, searches and pages", async () => {
  const uuid = "urn:uuid:8b6cf0c2-44fd-4b5c-8a4b-4c2f0a6d3f10";
  const entry = [{ fullUrl: uuid, resource: { resourceType: "Patient", name: [{ family: "Paging" }] }, request: { method: "POST", url: "Patient" } }];
  for (let i = 0; i < 25; i++) entry.push({ resource: observation(uuid, 60 + i), request: { method: "POST", url: "Observation" } });
  const done = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
  assert.equal(done.entry.length, 26);
  const patient = done.entry[0].response.location.match(/Patient\/[^/]+/)[0];

  let page = await client.search({ resourceType: "Observation", searchParams: { patient, _count: 10, _total: "accurate", _sort: "-date" } });
  assert.equal(page.total, 25);
  const seen = new Set();
  for (; page; page = await client.nextPage({ bundle: page })) page.entry.forEach((e) => seen.add(e.resource.id));
  assert.equal(seen.size, 25);

  const one = await client.search({ resourceType: "Observation", searchParams: { "subject:Patient.family": "paging", code: "http://loinc.org|8867-4", "value-quantity": "gt83", _include: "Observation:subject" } });
  assert.equal(one.entry.filter((e) => e.search.mode === "match").length, 1);
  assert.equal(one.entry.filter((e) => e.search.mode === "include").length, 1);
  const has = await client.search({ resourceType: "Patient", searchParams: { "_has:Observation:patient:code": "8867-4", family: "Paging" }, options: { postSearch: true } });
  assert.equal(has.entry.length, 1);
  const compartment = await client.compartmentSearch({ compartment: { resourceType: "Patient", id: patient.split("/")[1] }, resourceType: "Observation" });
  assert.equal(compartment.resourceType, "Bundle");
  const everything = await client.operation({ name: "everything", resourceType: "Patient", id: patient.split("/")[1], method: "GET", input: { _count: 100 } });
  assert.ok(everything.entry.length >= 26);

  await assert.rejects(
    client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry: [
      { resource: { resourceType: "Patient", name: [{ family: "Half" }] }, request: { method: "POST", url: "Patient" } },
      { resource: { resourceType: "Observation" }, request: { method: "POST", url: "Observation" } },
    ] } }),
    (e) => e.response.status >= 400 && e.response.status < 500,
  );
  const half = await client.search({ resourceType: "Patient", searchParams: { family: "Half", _summary: "count" } });
  assert.equal(half.total, 0);
});
