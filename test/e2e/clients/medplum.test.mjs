// @medplum/core, which is written against another server, works with this one.
import assert from "node:assert/strict";
import test, { before } from "node:test";
import { MedplumClient } from "@medplum/core";
import { Backend, fhir, gateway, observation } from "./network.mjs";

let medplum;

before(async () => {
  const backend = await new Backend(["system/*.cruds"]).register();
  medplum = new MedplumClient({ baseUrl: gateway + "/", fhirUrlPath: "fhir", accessToken: await backend.accessToken(), cacheTime: 0, autoBatchTime: 0 });
});

test("create, find, change, history, delete", async () => {
  const mrn = { system: "urn:oid:2.16.840.1.113883.19.5", value: `mrn-${Date.now()}` };
  const patient = await medplum.createResource({ resourceType: "Patient", identifier: [mrn], name: [{ family: "Plum" }] });
  const same = await medplum.createResourceIfNoneExist({ resourceType: "Patient", identifier: [mrn] }, `identifier=${mrn.system}|${mrn.value}`);
  assert.equal(same.id, patient.id);
  const found = await medplum.searchOne("Patient", { identifier: mrn.value });
  assert.equal(found.id, patient.id);
  const changed = await medplum.updateResource({ ...patient, gender: "other" });
  const patched = await medplum.patchResource("Patient", patient.id, [{ op: "replace", path: "/gender", value: "unknown" }]);
  assert.equal(changed.meta.versionId, "2");
  assert.equal(patched.gender, "unknown");
  const history = await medplum.readHistory("Patient", patient.id);
  assert.equal(history.entry.length, 3);
  assert.equal((await medplum.readVersion("Patient", patient.id, "1")).gender, undefined);

  const batch = await medplum.executeBatch({
    resourceType: "Bundle", type: "batch",
    entry: [
      { resource: observation(`Patient/${patient.id}`, 71), request: { method: "POST", url: "Observation" } },
      { request: { method: "GET", url: `Patient/${patient.id}` } },
      { request: { method: "GET", url: "Patient/nobody" } },
    ],
  });
  assert.deepEqual(batch.entry.map((e) => e.response.status.slice(0, 3)), ["201", "200", "404"]);
  const list = await medplum.searchResources("Observation", { patient: `Patient/${patient.id}` });
  assert.equal(list.length, 1);
  const everything = await medplum.readPatientEverything(patient.id);
  assert.ok(everything.entry.length >= 2);
  await medplum.deleteResource("Observation", list[0].id);
  await assert.rejects(medplum.readResource("Observation", list[0].id));
});

test("what is wrong is told as an OperationOutcome", async () => {
  await assert.rejects(medplum.createResource({ resourceType: "Patient", nonsense: 1 }), (e) => e.outcome?.issue?.[0]?.expression?.[0] !== undefined);
  await assert.rejects(medplum.readResource("Patient", "nobody"), (e) => e.outcome?.resourceType === "OperationOutcome");
});

test("the address", () => assert.ok(fhir.startsWith(gateway)));
