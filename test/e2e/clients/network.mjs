// The running network that the tests are given: SALUS_NETWORK is a JSON object with the FHIR base,
// the gateway's address and its operator token, and the name of a practitioner.
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";

const given = JSON.parse(process.env.SALUS_NETWORK ?? "null");
if (!given) throw new Error("SALUS_NETWORK does not say where the network is");

export const { fhir, gateway, token, staff } = given;
export const oauth = gateway + "/oauth2";

// operator calls the gateway's own API.
export async function operator(method, path, body) {
  const r = await fetch(gateway + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${await r.text()}`);
  return r.status === 204 ? undefined : r.json();
}

const b64 = (x) => Buffer.from(typeof x === "string" ? x : JSON.stringify(x)).toString("base64url");

// A backend service with a key of its own (SMART Backend Services, private_key_jwt with ES384).
export class Backend {
  constructor(scopes) {
    this.keys = generateKeyPairSync("ec", { namedCurve: "P-384" });
    this.kid = createHash("sha256").update(this.keys.publicKey.export({ type: "spki", format: "der" })).digest("hex").slice(0, 16);
    this.scopes = scopes;
    this.id = `backend-${randomUUID()}`;
  }

  async register() {
    const jwk = { ...this.keys.publicKey.export({ format: "jwk" }), kid: this.kid, alg: "ES384", key_ops: ["verify"] };
    await operator("POST", "/v1/apps", {
      client_id: this.id, client_name: "Backend of the tests", token_endpoint_auth_method: "private_key_jwt",
      scopes: this.scopes, grant_types: ["client_credentials"], jwks: { keys: [jwk] },
    });
    return this;
  }

  assertion(audience, over = {}) {
    const head = { alg: "ES384", kid: this.kid, typ: "JWT" };
    const claims = { iss: this.id, sub: this.id, aud: audience, exp: Math.floor(Date.now() / 1000) + 240, jti: randomUUID(), ...over };
    const text = `${b64(head)}.${b64(claims)}`;
    return `${text}.${sign("sha384", Buffer.from(text), { key: this.keys.privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }

  // grant asks for an access token; it returns the answer whatever it is.
  async grant(endpoint, assertion, scope = this.scopes.join(" ")) {
    return fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials", scope, client_assertion: assertion,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      }),
    });
  }

  async accessToken() {
    const conf = await (await fetch(fhir + "/.well-known/smart-configuration")).json();
    const r = await this.grant(conf.token_endpoint, this.assertion(conf.token_endpoint));
    if (!r.ok) throw new Error(`token: ${r.status} ${await r.text()}`);
    return (await r.json()).access_token;
  }
}

export const observation = (patient, value, code = "8867-4") => ({
  resourceType: "Observation", status: "final",
  category: [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }] }],
  code: { coding: [{ system: "http://loinc.org", code }], text: "Heart rate" },
  subject: { reference: patient }, effectiveDateTime: "2024-05-01T10:00:00Z",
  valueQuantity: { value, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
});
