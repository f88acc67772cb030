package sample

// A code is a code of one of the systems below.
type code struct{ system, code, display string }

const (
	snomed = "http://snomed.info/sct"
	loinc  = "http://loinc.org"
	rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
	cvx    = "http://hl7.org/fhir/sid/cvx"
	icd    = "http://hl7.org/fhir/sid/icd-10-cm"
	thosys = "http://terminology.hl7.org/CodeSystem/"
)

// profiles are the US Core profiles that the resources say they follow.
var profiles = map[string]string{
	"Patient": "us-core-patient", "Encounter": "us-core-encounter", "Condition": "us-core-condition-problems-health-concerns",
	"Observation": "us-core-simple-observation", "MedicationRequest": "us-core-medicationrequest", "Procedure": "us-core-procedure",
	"Immunization": "us-core-immunization", "AllergyIntolerance": "us-core-allergyintolerance", "DiagnosticReport": "us-core-diagnosticreport-lab",
	"DocumentReference": "us-core-documentreference", "CarePlan": "us-core-careplan", "CareTeam": "us-core-careteam", "Goal": "us-core-goal",
	"Practitioner": "us-core-practitioner", "Organization": "us-core-organization", "Coverage": "us-core-coverage",
}

// A measure is an observation with a quantity.
type measure struct {
	loinc, display, unit string
	low, high            float64
	whole                bool
}

var vitals = []measure{
	{"8302-2", "Body Height", "cm", 150, 190, false},
	{"29463-7", "Body Weight", "kg", 50, 110, false},
	{"39156-5", "Body Mass Index", "kg/m2", 18, 36, false},
	{"8867-4", "Heart rate", "/min", 55, 100, true},
	{"9279-1", "Respiratory rate", "/min", 12, 20, true},
	{"8310-5", "Body temperature", "Cel", 36, 38.5, false},
	{"8331-1", "Oral temperature", "Cel", 36, 38.5, false},
	{"59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", 93, 100, true},
	{"72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", "{score}", 0, 8, true},
}

// panels are laboratory panels with their parts.
var panels = []struct {
	code  code
	parts []measure
}{
	{code{loinc, "51990-0", "Basic Metabolic Panel"}, []measure{
		{"2339-0", "Glucose", "mg/dL", 65, 180, false},
		{"6299-2", "Urea Nitrogen", "mg/dL", 7, 20, false},
		{"38483-4", "Creatinine", "mg/dL", 0.6, 3.2, false},
		{"49765-1", "Calcium", "mg/dL", 8.5, 10.2, false},
		{"2947-0", "Sodium", "mmol/L", 136, 144, false},
		{"6298-4", "Potassium", "mmol/L", 3.6, 5.2, false},
		{"2069-3", "Chloride", "mmol/L", 100, 111, false},
		{"20565-8", "Carbon Dioxide", "mmol/L", 20, 29, false},
	}},
	{code{loinc, "57698-3", "Lipid Panel"}, []measure{
		{"2093-3", "Total Cholesterol", "mg/dL", 150, 280, false},
		{"2571-8", "Triglycerides", "mg/dL", 90, 300, false},
		{"18262-6", "Low Density Lipoprotein Cholesterol", "mg/dL", 60, 190, false},
		{"2085-9", "High Density Lipoprotein Cholesterol", "mg/dL", 25, 80, false},
	}},
	{code{loinc, "58410-2", "Complete blood count (hemogram) panel - Blood by Automated count"}, []measure{
		{"6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 3.5, 10.5, false},
		{"789-8", "Erythrocytes [#/volume] in Blood by Automated count", "10*6/uL", 3.9, 5.7, false},
		{"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 12, 17.5, false},
		{"4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", "%", 35, 50, false},
		{"787-2", "MCV [Entitic volume] by Automated count", "fL", 80, 95, false},
		{"785-6", "MCH [Entitic mass] by Automated count", "pg", 27, 33, false},
		{"786-4", "MCHC [Mass/volume] by Automated count", "g/dL", 33, 36, false},
		{"21000-5", "Erythrocyte distribution width [Entitic volume] by Automated count", "fL", 39, 46, false},
		{"777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 150, 450, false},
		{"32623-1", "Platelet mean volume [Entitic volume] in Blood by Automated count", "fL", 9.4, 12.3, false},
		{"32207-3", "Platelet distribution width [Entitic volume] in Blood by Automated count", "fL", 150, 500, false},
	}},
	{code{loinc, "24323-8", "Comprehensive metabolic 2000 panel - Serum or Plasma"}, []measure{
		{"1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 29, 55, false},
		{"1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 10, 45, false},
		{"1751-7", "Albumin [Mass/volume] in Serum or Plasma", "g/dL", 3.5, 5.5, false},
		{"6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 20, 140, false},
		{"1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "mg/dL", 0.3, 1.2, false},
		{"2885-2", "Protein [Mass/volume] in Serum or Plasma", "g/dL", 6, 8, false},
		{"10834-0", "Globulin [Mass/volume] in Serum by calculation", "g/dL", 2, 3.5, false},
		{"33914-3", "Glomerular filtration rate/1.73 sq M.predicted", "mL/min/{1.73_m2}", 60, 120, false},
	}},
}

var singles = []measure{
	{"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 4.5, 9, false},
	{"14959-1", "Microalbumin Creatinine Ratio", "mg/g", 2, 30, false},
	{"33762-6", "NT-proBNP", "pg/mL", 50, 900, false},
	{"3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 0.4, 4.5, false},
	{"2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma", "ng/mL", 0.1, 4, false},
	{"10230-1", "Left ventricular Ejection fraction", "%", 35, 65, true},
}

// A problem is what brings the patient in, with what is done about it.
type problem struct {
	condition, icd code
	reason         code // type of the encounter
	procedures     []code
	drugs          []code
	plan           code // of care, or zero
	activities     []code
}

var (
	checkup   = code{snomed, "162673000", "General examination of patient (procedure)"}
	symptom   = code{snomed, "185345009", "Encounter for symptom"}
	followup  = code{snomed, "390906007", "Follow-up encounter"}
	emergency = code{snomed, "50849002", "Emergency room admission (procedure)"}
	problemV  = code{snomed, "185347001", "Encounter for problem (procedure)"}
	reconcile = code{snomed, "430193006", "Medication Reconciliation (procedure)"}
	exercise  = code{snomed, "229065009", "Exercise therapy"}
)

var problems = []problem{
	{
		code{snomed, "44054006", "Diabetes mellitus type 2 (disorder)"},
		code{icd, "E11.9", "Type 2 diabetes mellitus without complications"},
		problemV,
		[]code{{snomed, "134395001", "Diabetic retinal screening (procedure)"}},
		[]code{{rxnorm, "860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"}},
		code{snomed, "698360004", "Diabetes self management plan"},
		[]code{{snomed, "160670007", "Diabetic diet"}, exercise},
	},
	{
		code{snomed, "59621000", "Essential hypertension (disorder)"},
		code{icd, "I10", "Essential (primary) hypertension"},
		followup,
		[]code{reconcile},
		[]code{{rxnorm, "310798", "Hydrochlorothiazide 25 MG Oral Tablet"}, {rxnorm, "314076", "Lisinopril 10 MG Oral Tablet"}, {rxnorm, "308136", "Amlodipine 2.5 MG Oral Tablet"}},
		code{snomed, "443402002", "Lifestyle education regarding hypertension"},
		[]code{{snomed, "386619000", "Low sodium diet (finding)"}, exercise},
	},
	{
		code{snomed, "195662009", "Acute viral pharyngitis (disorder)"},
		code{icd, "J02.9", "Acute pharyngitis, unspecified"},
		symptom,
		[]code{{snomed, "117015009", "Throat culture (procedure)"}},
		[]code{{rxnorm, "313782", "Acetaminophen 325 MG Oral Tablet"}},
		code{},
		nil,
	},
	{
		code{snomed, "444814009", "Viral sinusitis (disorder)"},
		code{icd, "J01.90", "Acute sinusitis, unspecified"},
		symptom, nil,
		[]code{{rxnorm, "562251", "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet"}},
		code{},
		nil,
	},
	{
		code{snomed, "10509002", "Acute bronchitis (disorder)"},
		code{icd, "J20.9", "Acute bronchitis, unspecified"},
		symptom,
		[]code{{snomed, "23426006", "Measurement of respiratory function (procedure)"}},
		[]code{{rxnorm, "1043400", "Acetaminophen 21.7 MG/ML / Dextromethorphan Hydrobromide 1 MG/ML / doxylamine succinate 0.417 MG/ML Oral Solution"}},
		code{snomed, "53950000", "Respiratory therapy"},
		[]code{{snomed, "304510005", "Recommendation to avoid exercise"}, {snomed, "371605008", "Deep breathing and coughing exercises"}},
	},
	{
		code{snomed, "55822004", "Hyperlipidemia (disorder)"},
		code{icd, "E78.5", "Hyperlipidemia, unspecified"},
		followup, nil,
		[]code{{rxnorm, "312961", "Simvastatin 20 MG Oral Tablet"}, {rxnorm, "259255", "Atorvastatin 80 MG Oral Tablet"}},
		code{snomed, "736285004", "Hyperlipidemia clinical management plan"},
		[]code{exercise},
	},
	{
		code{snomed, "195967001", "Asthma (disorder)"},
		code{icd, "J45.909", "Unspecified asthma, uncomplicated"},
		problemV,
		[]code{{snomed, "127783003", "Spirometry (procedure)"}},
		[]code{{rxnorm, "896209", "60 ACTUAT Fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler"}},
		code{snomed, "699728000", "Asthma self management (regime/therapy)"},
		nil,
	},
	{
		code{snomed, "44465007", "Sprain of ankle (disorder)"},
		code{icd, "S93.409A", "Sprain of unspecified ligament of unspecified ankle, initial encounter"},
		emergency,
		[]code{{snomed, "19490002", "Ankle X-ray (procedure)"}},
		[]code{{rxnorm, "310965", "Ibuprofen 200 MG Oral Tablet"}},
		code{snomed, "91251008", "Physical therapy procedure"},
		[]code{{snomed, "229586001", "Rest, ice, compression and elevation treatment programme"}, {snomed, "229070002", "Stretching exercises"}},
	},
	{
		code{snomed, "239873007", "Osteoarthritis of knee (disorder)"},
		code{icd, "M17.9", "Osteoarthritis of knee, unspecified"},
		problemV, nil,
		[]code{{rxnorm, "849574", "Naproxen sodium 220 MG Oral Tablet"}},
		code{snomed, "872781000000100", "Musculoskeletal care"},
		[]code{{snomed, "266694003", "Heat therapy"}},
	},
	{code{snomed, "271737000", "Anemia (disorder)"}, code{icd, "D64.9", "Anemia, unspecified"}, followup, []code{{snomed, "104091002", "Hemoglobin / Hematocrit / Platelet count"}}, nil, code{}, nil},
	{code{snomed, "15777000", "Prediabetes (finding)"}, code{icd, "R73.03", "Prediabetes"}, checkup, nil, nil, code{}, nil},
	{code{snomed, "65363002", "Otitis media (disorder)"}, code{icd, "H66.90", "Otitis media, unspecified, unspecified ear"}, symptom, nil, []code{{rxnorm, "308182", "Amoxicillin 250 MG Oral Capsule"}}, code{}, nil},
	{
		code{snomed, "53741008", "Coronary arteriosclerosis (disorder)"},
		code{icd, "I25.10", "Atherosclerotic heart disease of native coronary artery without angina pectoris"},
		problemV,
		[]code{{snomed, "415070008", "Percutaneous coronary intervention (procedure)"}},
		[]code{{rxnorm, "309362", "Clopidogrel 75 MG Oral Tablet"}, {rxnorm, "705129", "Nitroglycerin 0.4 MG/ACTUAT Mucosal Spray"}},
		code{snomed, "385715006", "Cardiac care (regime/therapy)"},
		[]code{exercise},
	},
}

var vaccines = []code{
	{cvx, "140", "Influenza, seasonal, injectable, preservative free"},
	{cvx, "113", "Td (adult) preservative free"},
	{cvx, "115", "Tdap"},
	{cvx, "33", "pneumococcal polysaccharide vaccine, 23 valent"},
	{cvx, "133", "Pneumococcal conjugate PCV 13"},
	{cvx, "121", "zoster"},
	{cvx, "43", "Hep B, adult"},
	{cvx, "52", "Hep A, adult"},
	{cvx, "114", "meningococcal MCV4P"},
	{cvx, "62", "HPV, quadrivalent"},
	{cvx, "208", "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, 30 mcg/0.3mL dose"},
}

var allergies = []struct {
	code
	category string
}{
	{code{snomed, "300913006", "Shellfish allergy"}, "food"},
	{code{snomed, "419474003", "Allergy to mould"}, "environment"},
	{code{snomed, "91936005", "Allergy to penicillin"}, "medication"},
	{code{snomed, "232350006", "House dust mite allergy"}, "environment"},
	{code{snomed, "91935009", "Allergy to peanut"}, "food"},
	{code{snomed, "300916003", "Latex allergy"}, "environment"},
}
