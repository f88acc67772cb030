package fhir

import "strings"

// A row of the label table: what a code means, and the labels that it gives.
type row struct {
	meaning     string
	set         labelSet
	sensitivity bool // an InformationSensitivityPolicy, as opposed to a confidentiality
}

// harmless rows are known and give no label.
func harmless(meaning string) row { return row{meaning: meaning} }

func sensitive(meaning string, labels ...Label) row {
	return row{meaning: meaning, set: setOf(labels...), sensitivity: true}
}

// securityTable holds the security labels with a meaning here. Source: HL7 THO, v3-ActCode
// 9.0.0 (InformationSensitivityPolicy) and v3-Confidentiality 3.0.0. The tree of v3-ActCode
// is resolved into the rows: a code gives the label of the nearest ancestor that has one
// (OPIOIDUD under SUD), and a code above several labels gives all of them (BH: PSY and SUD),
// since what it covers may be any. Codes of v3-ActCode and v3-Confidentiality that protect
// something without a label of its own (VIP, ADOL, DEMO ...) give R, as unknown codes do.
var securityTable = map[string]map[string]row{
	confidentiality: {
		"U": harmless("unrestricted"), "L": harmless("low"), "M": harmless("moderate"), "N": harmless("normal"),
		"R": sensitive("restricted", R), "V": sensitive("very restricted", R, V),
		// Retired members of the code system, still met in older data.
		"ETH": sensitive("substance abuse related", SUD), "HIV": sensitive("HIV related", HIV),
		"PSY": sensitive("psychiatry related", PSY), "SDV": sensitive("sexual and domestic violence related", SDV),
	},
	actCode: {
		"ETH":      sensitive("substance abuse", SUD),
		"SUD":      sensitive("substance use disorder", SUD),
		"ETHUD":    sensitive("alcohol use disorder", SUD),
		"OPIOIDUD": sensitive("opioid use disorder", SUD),
		"GDIS":     sensitive("genetic disease", GDIS),
		"SCA":      sensitive("sickle cell anemia", GDIS),
		"SICKLE":   sensitive("sickle cell (retired)", GDIS),
		"HIV":      sensitive("HIV/AIDS", HIV),
		"STD":      sensitive("sexually transmitted disease", STD),
		"SEX":      sensitive("sexuality and reproductive health", SEX),
		"PREGNANT": sensitive("pregnancy", SEX),
		"GENDER":   sensitive("gender and sexual orientation", SEX),
		"SDV":      sensitive("sexual assault, abuse, or domestic violence", SDV),
		"MST":      sensitive("military sexual trauma", SDV),
		"VIO":      sensitive("violence", SDV),
		"BH":       sensitive("behavioral health", PSY, SUD),
		"MH":       sensitive("mental health", PSY),
		"PSY":      sensitive("psychiatry disorder", PSY),
		"PSYTHPN":  sensitive("psychotherapy note", PSY, PSYTHPN),
		"COGN":     sensitive("cognitive disability", PSY),
		"DVD":      sensitive("developmental disability", PSY),
		"EMOTDIS":  sensitive("emotional disturbance", PSY),
		"SPI":      sensitive("specially protected information", PSY, SUD, R),
		"TBOO":     sensitive("taboo", R),
	},
	actReason: {
		"HTEST": harmless("test health data"),
	},
}

// icdTable holds ICD-10-CM categories and their prefixes, without dots; each stands for all
// codes below it. Source: ICD-10-CM FY2024 tabular list, chapters 1, 2, 3, 5, 15, 17, 19, 21.
// Tobacco (F17) is not a substance use disorder under 42 CFR Part 2 and is left out.
var icdTable = prefixes(
	group{"B20 B21 B22 B23 B24 B9735 R75 Z21 O987 Z206 Z717 Z114", row{meaning: "HIV disease, status, exposure, counselling and screening", set: setOf(HIV)}},
	group{"A50 A51 A52 A53 A54 A55 A56 A57 A58 A59 A60 A63 A64 Z113 Z202", row{meaning: "infections with a predominantly sexual mode of transmission", set: setOf(STD)}},
	group{"F10 F11 F12 F13 F14 F15 F16 F18 F19", row{meaning: "mental and behavioural disorders due to psychoactive substance use", set: setOf(SUD)}},
	group{"T40 T436 T510 Z714 Z715", row{meaning: "poisoning by narcotics and hallucinogens; alcohol and drug abuse counselling", set: setOf(SUD)}},
	group{"O9931 O9932 P044 P961 K70 G621 I426 K292 K860", row{meaning: "alcohol- and drug-related conditions of organs and pregnancy", set: setOf(SUD)}},
	group{"F01 F02 F03 F04 F05 F06 F07 F09", row{meaning: "mental disorders due to known physiological conditions", set: setOf(PSY)}},
	group{"F20 F21 F22 F23 F24 F25 F28 F29 F30 F31 F32 F33 F34 F39 F40 F41 F42 F43 F44 F45 F48", row{meaning: "schizophrenia, mood, anxiety, stress-related and somatoform disorders", set: setOf(PSY)}},
	group{"F50 F51 F53 F54 F55 F59 F60 F63 F68 F69 F70 F71 F72 F73 F78 F79 F80 F81 F82 F84 F88 F89 F90 F91 F93 F94 F95 F98 F99", row{meaning: "behavioural, personality and developmental disorders", set: setOf(PSY)}},
	group{"R4585 T1491 Z915 X60 X61 X62 X63 X64 X65 X66 X67 X68 X69 X70 X71 X72 X73 X74 X75 X76 X77 X78 X79 X80 X81 X82 X83 X84", row{meaning: "suicidal ideation, attempt, self-harm", set: setOf(PSY)}},
	group{"F52 F64 F65 F66 Z725", row{meaning: "sexual dysfunction, gender identity, sexual behaviour", set: setOf(SEX)}},
	group{"O N96 N97 Z30 Z31 Z32 Z33 Z34 Z36 Z37 Z39 Z3A Z640 N46", row{meaning: "pregnancy, childbirth, contraception, procreative management", set: setOf(SEX)}},
	group{"T74 T76 Y07 O9A3 O9A4 O9A5 Z69 Z6281 Z9141 Z044 Z047 Y06", row{meaning: "abuse, neglect and violence, confirmed or suspected", set: setOf(SDV)}},
	group{"D57 D56 D66 D67 E84 G10 E75 E76 Q90 Q91 Q92 Q93 Q95 Q96 Q97 Q98 Q99 Z14 Z15", row{meaning: "genetic disorders, carrier status, genetic susceptibility", set: setOf(GDIS)}},
)

// snomedTable holds SNOMED CT concepts (International and US editions), each for itself:
// the hierarchy of SNOMED CT is not part of this table.
var snomedTable = codes(map[Label]map[string]string{
	SUD: {
		"66214007": "substance abuse", "26416006": "drug abuse", "371422002": "history of substance abuse", "370854007": "screening for substance abuse", "371434005": "history of alcohol abuse", "371435006": "history of drug abuse", "64386003": "sedative abuse", "361055000": "misuses drugs", "6525002": "dependent drug abuse", "191816009": "drug dependence",
		"5602001": "opioid abuse", "75544000": "opioid dependence", "231477003": "heroin dependence", "55680006": "drug overdose",
		"1149222004": "overdose", "7200002": "alcoholism", "15167005": "alcohol abuse", "66590003": "alcohol dependence",
		"10741871000119101": "alcohol dependence in pregnancy", "78267003": "cocaine abuse", "31956009": "cocaine dependence",
		"37344009": "cannabis abuse", "85005007": "cannabis dependence", "84758004": "amphetamine abuse", "21647008": "amphetamine dependence",
		"266707007": "drug addiction therapy", "60112009": "drug addiction counseling", "56876005": "drug rehabilitation and detoxification",
		"61480009": "drug detoxification", "20093000": "alcohol rehabilitation and detoxification",
		"387173000": "buprenorphine (substance)",
		"713106006": "screening for drug abuse", "713107002": "screening for alcohol abuse",
		"226138001": "alcohol-free diet",
	}, PSY: {
		"74732009": "mental disorder", "35489007": "depressive disorder", "370143000": "major depressive disorder", "36923009": "major depression, single episode",
		"66344007": "recurrent major depression", "310496002": "moderate recurrent major depression", "310497006": "severe depression",
		"48694002": "anxiety", "197480006": "anxiety disorder", "21897009": "generalized anxiety disorder", "371631005": "panic disorder",
		"13746004": "bipolar disorder", "58214004": "schizophrenia", "68890003": "schizoaffective disorder", "69322001": "psychotic disorder",
		"47505003": "posttraumatic stress disorder", "192127007": "child attention deficit disorder", "406506008": "attention deficit hyperactivity disorder",
		"408856003": "autistic disorder", "35919005": "pervasive developmental disorder", "191736004": "obsessive-compulsive disorder",
		"1376001": "obsessive compulsive personality disorder", "20010003": "borderline personality disorder", "33449004": "personality disorder",
		"56882008": "anorexia nervosa", "78004001": "bulimia nervosa", "58703003": "postpartum depression", "17226007": "adjustment disorder",
		"6471006": "suicidal thoughts", "82313006": "suicide attempt", "44301001": "suicide", "248062006": "self-injurious behavior",
		"171207006": "depression screening", "720433000": "PHQ-9 depression screening", "228557008": "cognitive and behavioral therapy",
		"75516001": "psychotherapy", "304891004": "cognitive behavioral therapy", "76168009": "group psychotherapy",
		"26929004": "Alzheimer's disease", "230265002": "familial Alzheimer's disease of early onset", "52448006": "dementia",
		"386257007": "dementia management", "850261000000100": "education about dementia", "110359009": "intellectual disability",
		"372767007": "fluoxetine (substance)",
	}, HIV: {
		"86406008": "human immunodeficiency virus infection", "62479008": "AIDS", "165816005": "HIV positive", "91947003": "asymptomatic HIV infection",
		"111880001": "acute HIV infection", "79019005": "HIV II infection", "31676001": "HIV antigen test",
		"171121004": "HIV screening", "313077009": "HIV counseling", "697904001": "pulmonary hypertension with HIV",
	}, STD: {
		"8098009": "sexually transmitted infectious disease", "15628003": "gonorrhea", "76272004": "syphilis", "105629000": "chlamydial infection",
		"33839006": "genital herpes simplex", "56335008": "trichomoniasis", "240542006": "anogenital warts", "240589008": "Chlamydia trachomatis infection", "26039008": "neurosyphilis",
		"165829005": "gonorrhea infection test", "269828009": "syphilis infection test", "310861008": "Chlamydia antigen test",
	}, SEX: {
		"72892002": "normal pregnancy", "77386006": "pregnancy", "47200007": "high risk pregnancy", "19169002": "miscarriage in first trimester",
		"17369002": "miscarriage", "79586000": "tubal pregnancy", "398254007": "pre-eclampsia", "198992004": "eclampsia in pregnancy",
		"10383002": "counseling for termination of pregnancy", "386394001": "pregnancy termination care", "714812005": "induced termination of pregnancy",
		"66348005": "childbirth", "11466000": "cesarean section", "236974004": "instrumental delivery",
		"85548006": "episiotomy", "237001001": "augmentation of labor", "31208007": "medical induction of labor",
		"252160004": "standard pregnancy test", "424441002": "prenatal initial visit", "424619006": "prenatal visit", "169762003": "postnatal visit",
		"183460006": "obstetric emergency hospital admission", "134435003": "routine antenatal care", "135892000": "antenatal education",
		"713076009": "antenatal risk assessment", "312404004": "antenatal blood tests", "169673001": "antenatal RhD antibody screening",
		"443529005": "prenatal screening for chromosomal aneuploidy", "271442007": "fetal anatomy study", "169230002": "ultrasound scan for fetal viability",
		"225158009": "auscultation of the fetal heart", "274804006": "evaluation of uterine fundal height",
		"169690007": "antenatal rubella screening", "275833003": "alpha-fetoprotein test", "65200003": "insertion of intrauterine contraceptive device",
		"46706006": "replacement of intrauterine contraceptive device", "68254000": "removal of intrauterine contraceptive device",
		"169553002": "insertion of subcutaneous contraceptive", "301807007": "removal of subcutaneous contraceptive",
		"755621000000101": "replacement of subcutaneous contraceptive", "90226004": "cytopathology of genital smear",
		"76690-7": "sexual orientation (LOINC code met under SNOMED CT)", "6738008": "female infertility", "2904007": "male infertility",
		"93461009": "gender dysphoria", "87991007": "gender identity disorder", "198609003": "female genital complication of pregnancy",
	}, SDV: {
		"95930005": "victim of neglect", "706893006": "victim of intimate partner abuse",
		"397940009": "victim of child abuse", "386702006": "victim of abuse", "418189009": "child abuse", "404189009": "domestic violence", "213017001": "sexual abuse", "248111006": "rape", "42085001": "victim of rape", "90774003": "victim of physical assault", "406137001": "adult victim of abuse", "313070006": "counseling for domestic abuse", "371772001": "domestic abuse",
		"248110007": "sexual assault",
	}, GDIS: {
		"417357006": "sickling disorder due to hemoglobin S", "127040003": "sickle cell-hemoglobin SS disease", "190905008": "cystic fibrosis",
		"86964003": "cystic fibrosis sweat test", "67799006": "cystic fibrosis, prenatal detection", "58756001": "Huntington's chorea",
		"41040004":  "complete trisomy 21",
		"412734009": "BRCA1 gene mutation positive", "412738007": "BRCA2 gene mutation positive", "405825005": "molecular genetic test", "230265002": "familial Alzheimer's disease of early onset",
	},
})

// loincTable holds LOINC terms of tests, questionnaires and notes.
var loincTable = codes(map[Label]map[string]string{
	SUD: {
		"3426-4": "tetrahydrocannabinol in urine", "3397-7": "cocaine in urine", "3879-4": "opiates in urine", "5640-8": "ethanol in blood",
		"72109-2": "AUDIT-C", "75626-2": "AUDIT-C total score", "75624-7": "AUDIT total score", "82666-9": "DAST-10", "82667-7": "DAST-10 total score",
		"68518-0": "how often a drink containing alcohol", "74013-4": "alcoholic drinks per day", "11331-6": "history of alcohol use", "11343-1": "history of other nonmedical drug use",
	}, PSY: {
		"44249-1": "PHQ-9", "44261-6": "PHQ-9 total score", "89204-2": "PHQ-9 modified for teens", "55757-9": "PHQ-2", "55758-7": "PHQ-2 total score",
		"69737-5": "GAD-7", "70274-6": "GAD-7 total score", "72106-8": "MMSE total score", "44255-8": "little interest or pleasure", "44250-9": "depressed",
		"44260-8": "thoughts of being better off dead", "34788-0": "psychiatry consult note", "28627-8": "psychiatry progress note", "28628-6": "psychiatry note", "28635-1": "psychiatry initial evaluation note",
	}, HIV: {
		"55277-8": "HIV status", "75622-1": "HIV 1 and 2 tests, Meaningful Use set", "56888-1": "HIV 1+2 antibody and p24 antigen",
		"20447-9": "HIV 1 RNA", "25836-8": "HIV 1 RNA, amplified", "29893-5": "HIV 1 antibody", "7917-8": "HIV 1 antibody", "7918-6": "HIV 1+2 antibody",
		"5221-7": "HIV 1 antibody, immunoblot", "24467-3": "CD3+CD4+ cells", "31201-7": "HIV 1+2 antibody", "80387-4": "HIV 1 and 2 antibody, rapid",
	}, STD: {
		"43304-5": "Chlamydia trachomatis rRNA", "43305-2": "Neisseria gonorrhoeae rRNA", "21613-5": "Chlamydia trachomatis DNA",
		"24111-7": "Neisseria gonorrhoeae DNA", "20507-0": "reagin antibody (RPR)", "20508-8": "reagin antibody (RPR) titre", "22587-0": "Treponema pallidum antibody",
	}, SEX: {
		"76690-7": "sexual orientation", "76691-5": "gender identity", "2106-3": "choriogonadotropin (pregnancy test) in urine",
		"2118-8": "choriogonadotropin (pregnancy test) in serum", "82810-3": "pregnancy status", "11996-6": "pregnancies", "11778-8": "delivery date estimated",
		"11779-6": "delivery date estimated from last menstrual period", "11612-9": "abortions", "11613-7": "induced abortions", "11614-5": "spontaneous abortions", "8665-2": "last menstrual period start date",
		"86645-9": "pregnancy intention", "86649-1": "contraceptive method",
	}, SDV: {
		"28245-9": "abuse status", "76499-3": "HARK questionnaire", "76500-8": "HARK questionnaire", "76501-6": "HARK questionnaire",
		"76502-4": "HARK questionnaire", "76504-0": "HARK questionnaire",
	}, GDIS: {
		"81247-9": "master genetic variant reporting panel", "55233-1": "genetic analysis master panel", "53037-8": "genetic disease analysis, overall interpretation",
		"51969-4": "genetic analysis report", "51968-6": "genetic disease analysis, overall interpretation", "48018-6": "gene studied", "48004-6": "DNA change",
		"21636-6": "BRCA1 gene mutations", "38404-0": "CFTR gene mutations", "69548-6": "genetic variant assessment", "53034-5": "allelic state",
	},
})

// rxnormTable holds RxNorm concepts that ingredientTable cannot tell by their names: brands.
var rxnormTable = codes(map[Label]map[string]string{
	SEX: {
		"748856": "Yaz 28 Day Pack", "748879": "Levora 0.15/30 28 Day Pack", "748962": "Camila 28 Day Pack", "749762": "Seasonique 91 Day Pack",
		"749785": "Ortho Tri-Cyclen 28 Day Pack", "751905": "Trinessa 28 Day Pack", "757594": "Jolivette 28 Day Pack", "831533": "Errin 28 Day Pack",
		"978950": "Natazia 28 Day Pack", "1367439": "NuvaRing", "1605257": "Liletta 52 MG Intrauterine System",
	},
})

// wordTable finds sensitive information where the code says nothing: RxNorm names clinical
// drugs by their ingredients, SNOMED CT knows thousands of codes below those above, and
// laboratories use codes of their own. It holds whole words (lower case; ingredients as
// RxNorm names them) and, with a star, beginnings of words.
var wordTable = words(map[Label]string{
	SUD:  "alcoholi* opioid opioids heroin cocaine addict* detoxification buprenorphine methadone naltrexone naloxone disulfiram acamprosate lofexidine nalmefene",
	HIV:  "hiv aids zidovudine lamivudine abacavir tenofovir emtricitabine efavirenz nevirapine rilpivirine etravirine doravirine atazanavir darunavir ritonavir lopinavir cobicistat raltegravir dolutegravir bictegravir elvitegravir cabotegravir maraviroc enfuvirtide fostemsavir lenacapavir ibalizumab",
	STD:  "syphili* neurosyphilis gonorrh* gonococc* chlamydia* trichomonas treponema",
	PSY:  "schizo* bipolar suicid* depressive psychos* psychot* psychiatr* psycholog* autis* dementia alzheimer ptsd posttraumatic fluoxetine sertraline citalopram escitalopram paroxetine fluvoxamine venlafaxine desvenlafaxine duloxetine bupropion mirtazapine trazodone vilazodone vortioxetine amitriptyline nortriptyline clomipramine lithium clozapine olanzapine quetiapine risperidone paliperidone aripiprazole brexpiprazole cariprazine ziprasidone lurasidone haloperidol chlorpromazine fluphenazine perphenazine buspirone methylphenidate dexmethylphenidate lisdexamfetamine amphetamine dextroamphetamine atomoxetine guanfacine donepezil galantamine rivastigmine memantine",
	SEX:  "pregnan* prenatal antenatal postnatal abortion abortions miscarriage contracept* infertility transgender transsexual norethindrone norethynodrel mestranol levonorgestrel norgestimate norgestrel norelgestromin etonogestrel drospirenone desogestrel dienogest medroxyprogesterone ulipristal mifepristone misoprostol clomiphene letrozole sildenafil tadalafil vardenafil oxytocin testosterone estradiol",
	SDV:  "rape assault assaulted violence",
	GDIS: "sickle huntington hereditary brca genotype ivacaftor lumacaftor tezacaftor elexacaftor dornase voxelotor crizanlizumab",
})

// A group gives all its codes one row; the codes are parted by spaces.
type group struct {
	codes string
	row
}

func prefixes(groups ...group) map[string]row {
	out := map[string]row{}
	for _, g := range groups {
		for code := range strings.FieldsSeq(g.codes) {
			r := out[code]
			out[code] = row{meaning: strings.TrimPrefix(r.meaning+"; "+g.meaning, "; "), set: r.set | g.set}
		}
	}
	return out
}

// codes merges tables of meanings by label; a code may stand under several labels.
func codes(tables map[Label]map[string]string) map[string]row {
	out := map[string]row{}
	for _, l := range allLabels { // in a fixed order: meanings of several labels are joined
		for code, meaning := range tables[l] {
			r := out[code]
			if r.meaning == "" {
				r.meaning = meaning
			}
			r.set |= setOf(l)
			out[code] = r
		}
	}
	return out
}

func words(lists map[Label]string) wordSet {
	out := wordSet{whole: map[string]labelSet{}, begins: map[string][]beginning{}}
	for l, list := range lists {
		for w := range strings.FieldsSeq(list) {
			if stem, ok := strings.CutSuffix(w, "*"); ok {
				out.begins[stem[:4]] = append(out.begins[stem[:4]], beginning{stem, setOf(l)})
			} else {
				out.whole[w] |= setOf(l)
			}
		}
	}
	return out
}
