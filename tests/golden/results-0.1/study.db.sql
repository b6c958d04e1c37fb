BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'search');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'space','"[[\"NUM_STREAMS\", [1, 2, 4, 8], {}], [\"INFERENCE_NUM_THREADS\", [2, 4, 8], {}], [\"ENABLE_CPU_PINNING\", [true, false], {}], [\"infer_requests\", [4, 8, 16, 32], {}], [\"batch_size\", [1, 2, 4, 8], {}]]"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'NUM_STREAMS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(2,1,'INFERENCE_NUM_THREADS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(3,1,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(4,1,'infer_requests',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(5,1,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(6,2,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(7,2,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(8,2,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(9,2,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(10,2,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(11,3,'NUM_STREAMS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(12,3,'INFERENCE_NUM_THREADS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(13,3,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(14,3,'infer_requests',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(15,3,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(16,4,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(17,4,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(18,4,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(19,4,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(20,4,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(21,5,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(22,5,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(23,5,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(24,5,'infer_requests',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(25,5,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(26,6,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(27,6,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(28,6,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(29,6,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(30,6,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(31,7,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(32,7,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(33,7,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(34,7,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(35,7,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(36,8,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(37,8,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(38,8,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(39,8,'infer_requests',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(40,8,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(41,9,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(42,9,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(43,9,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(44,9,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(45,9,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(46,10,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(47,10,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(48,10,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(49,10,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(50,10,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(51,11,'NUM_STREAMS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(52,11,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(53,11,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(54,11,'infer_requests',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(55,11,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(56,12,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(57,12,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(58,12,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(59,12,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(60,12,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(61,13,'NUM_STREAMS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(62,13,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(63,13,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(64,13,'infer_requests',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(65,13,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(66,14,'NUM_STREAMS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(67,14,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(68,14,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(69,14,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(70,14,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(71,15,'NUM_STREAMS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(72,15,'INFERENCE_NUM_THREADS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(73,15,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(74,15,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(75,15,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(76,16,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(77,16,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(78,16,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(79,16,'infer_requests',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(80,16,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(81,17,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(82,17,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(83,17,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(84,17,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(85,17,'batch_size',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(86,18,'NUM_STREAMS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(87,18,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(88,18,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(89,18,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(90,18,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(91,19,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(92,19,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(93,19,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(94,19,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(95,19,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(96,20,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(97,20,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(98,20,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(99,20,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(100,20,'batch_size',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(101,21,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(102,21,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(103,21,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(104,21,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(105,21,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(106,22,'NUM_STREAMS',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(107,22,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(108,22,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(109,22,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(110,22,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'constraints:latency_p90_ms','-0.28625136191904205');
INSERT INTO "trial_system_attributes" VALUES(2,2,'constraints:latency_p90_ms','0.17177289563656692');
INSERT INTO "trial_system_attributes" VALUES(3,3,'constraints:latency_p90_ms','2.3774896608565674');
INSERT INTO "trial_system_attributes" VALUES(4,4,'constraints:latency_p90_ms','-0.33196879697836895');
INSERT INTO "trial_system_attributes" VALUES(5,5,'constraints:latency_p90_ms','-0.28209338186797966');
INSERT INTO "trial_system_attributes" VALUES(6,6,'constraints:latency_p90_ms','-0.8057852405270709');
INSERT INTO "trial_system_attributes" VALUES(7,7,'constraints:latency_p90_ms','-0.2164257807644964');
INSERT INTO "trial_system_attributes" VALUES(8,8,'constraints:latency_p90_ms','0.4261375126995541');
INSERT INTO "trial_system_attributes" VALUES(9,9,'constraints:latency_p90_ms','-1.9121898945177456');
INSERT INTO "trial_system_attributes" VALUES(10,10,'constraints:latency_p90_ms','-1.558074447233979');
INSERT INTO "trial_system_attributes" VALUES(11,11,'constraints:latency_p90_ms','-0.13662511658787282');
INSERT INTO "trial_system_attributes" VALUES(12,12,'constraints:latency_p90_ms','0.16761491558550454');
INSERT INTO "trial_system_attributes" VALUES(13,13,'constraints:latency_p90_ms','-0.4716199592874602');
INSERT INTO "trial_system_attributes" VALUES(14,14,'constraints:latency_p90_ms','-0.32698125546733');
INSERT INTO "trial_system_attributes" VALUES(15,15,'constraints:latency_p90_ms','-0.8997189677768348');
INSERT INTO "trial_system_attributes" VALUES(16,16,'constraints:latency_p90_ms','-0.2571556743127848');
INSERT INTO "trial_system_attributes" VALUES(17,17,'constraints:latency_p90_ms','-0.8149307620891723');
INSERT INTO "trial_system_attributes" VALUES(18,18,'constraints:latency_p90_ms','-0.31201863093421306');
INSERT INTO "trial_system_attributes" VALUES(19,19,'constraints:latency_p90_ms','-0.11667495054371649');
INSERT INTO "trial_system_attributes" VALUES(20,20,'constraints:latency_p90_ms','-0.4317196271991484');
INSERT INTO "trial_system_attributes" VALUES(21,21,'constraints:latency_p90_ms','-0.38683175359979766');
INSERT INTO "trial_system_attributes" VALUES(22,22,'constraints:latency_p90_ms','-0.39181929511083663');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'record','{"phase": "search", "round": 1, "step": 0, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4, "ENABLE_CPU_PINNING": false}, "batch_size": 2, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "4", "ENABLE_CPU_PINNING": "False"}, "batch_size": 2, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 395.32326270333255, "latency_mean_ms": 40.47320638453569, "latency_p50_ms": 38.99171703511853, "latency_p90_ms": 46.19749848305906, "latency_p95_ms": 46.19749848305906, "latency_p99_ms": 46.19749848305906, "latency_p999_ms": 46.19749848305906, "latency_max_ms": 46.19749848305906, "cpu_ms_per_sample": 9.881576517420562, "energy_mj_per_sample": 57.50000000000001, "peak_memory_mb": 156.0, "requests": 248.0}}');
INSERT INTO "trial_user_attributes" VALUES(2,2,'record','{"phase": "search", "round": 1, "step": 1, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 4, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 4, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 971.3333447957269, "latency_mean_ms": 65.88881185115632, "latency_p50_ms": 66.1568633832911, "latency_p90_ms": 72.73276194302986, "latency_p95_ms": 73.09642575274496, "latency_p99_ms": 73.09642575274496, "latency_p999_ms": 73.09642575274496, "latency_max_ms": 73.09642575274496, "cpu_ms_per_sample": 9.202934383565953, "energy_mj_per_sample": 52.50000000000001, "peak_memory_mb": 324.0, "requests": 480.0}}');
INSERT INTO "trial_user_attributes" VALUES(3,3,'record','{"phase": "search", "round": 1, "step": 2, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4, "ENABLE_CPU_PINNING": true}, "batch_size": 8, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "4", "ENABLE_CPU_PINNING": "True"}, "batch_size": 8, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.034413678071666225, "metrics": {"throughput": 420.4197054071981, "latency_mean_ms": 608.915321302675, "latency_p50_ms": 608.7968378359419, "latency_p90_ms": 669.3103816220882, "latency_p95_ms": 669.3103816220882, "latency_p99_ms": 669.3103816220882, "latency_p999_ms": 669.3103816220882, "latency_max_ms": 669.3103816220882, "cpu_ms_per_sample": 9.965970831896769, "energy_mj_per_sample": 53.75, "peak_memory_mb": 396.0, "requests": 128.0}}');
INSERT INTO "trial_user_attributes" VALUES(4,4,'record','{"phase": "search", "round": 1, "step": 3, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 800.7120186193021, "latency_mean_ms": 39.96443072651614, "latency_p50_ms": 39.976306751872514, "latency_p90_ms": 43.94989504716806, "latency_p95_ms": 44.83550743478469, "latency_p99_ms": 44.83550743478469, "latency_p999_ms": 44.83550743478469, "latency_max_ms": 44.83550743478469, "cpu_ms_per_sample": 10.720945821433293, "energy_mj_per_sample": 55.00000000000001, "peak_memory_mb": 292.0, "requests": 736.0}}');
INSERT INTO "trial_user_attributes" VALUES(5,5,'record','{"phase": "search", "round": 1, "step": 4, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 764.3239133866496, "latency_mean_ms": 41.86706635699897, "latency_p50_ms": 42.020700357666385, "latency_p90_ms": 46.19749848305906, "latency_p95_ms": 46.89393154737847, "latency_p99_ms": 46.89393154737847, "latency_p999_ms": 46.89393154737847, "latency_max_ms": 46.89393154737847, "cpu_ms_per_sample": 11.03344947374805, "energy_mj_per_sample": 52.5, "peak_memory_mb": 292.0, "requests": 360.0}}');
INSERT INTO "trial_user_attributes" VALUES(6,6,'record','{"phase": "search", "round": 1, "step": 5, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 648.9125389992898, "latency_mean_ms": 24.656635584009745, "latency_p50_ms": 24.89010920474406, "latency_p90_ms": 27.36415082190686, "latency_p95_ms": 27.776668816065953, "latency_p99_ms": 27.776668816065953, "latency_p999_ms": 27.776668816065953, "latency_max_ms": 27.776668816065953, "cpu_ms_per_sample": 12.737433611727603, "energy_mj_per_sample": 60.0, "peak_memory_mb": 276.0, "requests": 1200.0}}');
INSERT INTO "trial_user_attributes" VALUES(7,7,'record','{"phase": "search", "round": 1, "step": 6, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 4, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 4, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 362.5592755892503, "latency_mean_ms": 44.13071482999839, "latency_p50_ms": 43.29718457751398, "latency_p90_ms": 49.538553865616265, "latency_p95_ms": 49.538553865616265, "latency_p99_ms": 49.538553865616265, "latency_p999_ms": 49.538553865616265, "latency_max_ms": 49.538553865616265, "cpu_ms_per_sample": 11.291262845177652, "energy_mj_per_sample": 52.5, "peak_memory_mb": 276.0, "requests": 112.0}}');
INSERT INTO "trial_user_attributes" VALUES(8,8,'record','{"phase": "search", "round": 1, "step": 7, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 2, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 2, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 745.4518649147251, "latency_mean_ms": 85.85396725423874, "latency_p50_ms": 85.31866590323422, "latency_p90_ms": 93.79922050542845, "latency_p95_ms": 96.64860720745995, "latency_p99_ms": 96.64860720745995, "latency_p999_ms": 96.64860720745995, "latency_max_ms": 96.64860720745995, "cpu_ms_per_sample": 11.515686758889553, "energy_mj_per_sample": 55.0, "peak_memory_mb": 324.0, "requests": 736.0}}');
INSERT INTO "trial_user_attributes" VALUES(9,9,'record','{"phase": "search", "round": 1, "step": 8, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 493.0233376829763, "latency_mean_ms": 8.1132061999306, "latency_p50_ms": 7.943257835439656, "latency_p90_ms": 9.088293153217299, "latency_p95_ms": 9.088293153217299, "latency_p99_ms": 9.088293153217299, "latency_p999_ms": 9.088293153217299, "latency_max_ms": 9.088293153217299, "cpu_ms_per_sample": 15.852128210659641, "energy_mj_per_sample": 77.5, "peak_memory_mb": 124.0, "requests": 596.0}}');
INSERT INTO "trial_user_attributes" VALUES(10,10,'record','{"phase": "search", "round": 1, "step": 9, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 344.91363827982724, "latency_mean_ms": 11.597105930484584, "latency_p50_ms": 11.431972420504401, "latency_p90_ms": 12.950087772457323, "latency_p95_ms": 12.950087772457323, "latency_p99_ms": 12.950087772457323, "latency_p999_ms": 12.950087772457323, "latency_max_ms": 12.950087772457323, "cpu_ms_per_sample": 11.642844474381855, "energy_mj_per_sample": 60.00000000000001, "peak_memory_mb": 264.0, "requests": 420.0}}');
INSERT INTO "trial_user_attributes" VALUES(11,11,'record','{"phase": "search", "round": 1, "step": 10, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 663.1700158287935, "latency_mean_ms": 48.2530862919189, "latency_p50_ms": 47.60086342719663, "latency_p90_ms": 53.65377856778224, "latency_p95_ms": 53.65377856778224, "latency_p99_ms": 53.65377856778224, "latency_p999_ms": 53.65377856778224, "latency_max_ms": 53.65377856778224, "cpu_ms_per_sample": 11.700851973553455, "energy_mj_per_sample": 62.5, "peak_memory_mb": 212.0, "requests": 832.0}}');
INSERT INTO "trial_user_attributes" VALUES(12,12,'record','{"phase": "search", "round": 1, "step": 11, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 486.07733824336793, "latency_mean_ms": 65.83314522673413, "latency_p50_ms": 65.5002236412872, "latency_p90_ms": 72.73276194302986, "latency_p95_ms": 72.73276194302986, "latency_p99_ms": 72.73276194302986, "latency_p999_ms": 72.73276194302986, "latency_max_ms": 72.73276194302986, "cpu_ms_per_sample": 9.173816756961184, "energy_mj_per_sample": 51.25, "peak_memory_mb": 292.0, "requests": 80.0}}');
INSERT INTO "trial_user_attributes" VALUES(13,13,'record','{"phase": "search", "round": 1, "step": 12, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 908.0243800715087, "latency_mean_ms": 35.241344508260816, "latency_p50_ms": 34.76585702181196, "latency_p90_ms": 38.22153399055344, "latency_p95_ms": 40.17618828563187, "latency_p99_ms": 40.17618828563187, "latency_p999_ms": 40.17618828563187, "latency_max_ms": 40.17618828563187, "cpu_ms_per_sample": 9.29492737529345, "energy_mj_per_sample": 55.0, "peak_memory_mb": 212.0, "requests": 424.0}}');
INSERT INTO "trial_user_attributes" VALUES(14,14,'record','{"phase": "search", "round": 1, "step": 13, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 804.3126382606091, "latency_mean_ms": 39.78552428220273, "latency_p50_ms": 39.976306751872514, "latency_p90_ms": 44.16964452240389, "latency_p95_ms": 44.39049274501591, "latency_p99_ms": 44.39049274501591, "latency_p999_ms": 44.39049274501591, "latency_max_ms": 44.39049274501591, "cpu_ms_per_sample": 10.056230320375036, "energy_mj_per_sample": 57.50000000000001, "peak_memory_mb": 212.0, "requests": 736.0}}');
INSERT INTO "trial_user_attributes" VALUES(15,15,'record','{"phase": "search", "round": 1, "step": 14, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "2", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 177.4159914211398, "latency_mean_ms": 22.545881957760123, "latency_p50_ms": 22.303521719125573, "latency_p90_ms": 25.014559750767777, "latency_p95_ms": 25.014559750767777, "latency_p99_ms": 25.014559750767777, "latency_p999_ms": 25.014559750767777, "latency_max_ms": 25.014559750767777, "cpu_ms_per_sample": 10.867067039208845, "energy_mj_per_sample": 60.0, "peak_memory_mb": 144.0, "requests": 216.0}}');
INSERT INTO "trial_user_attributes" VALUES(16,16,'record','{"phase": "search", "round": 1, "step": 15, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 4, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 746.4148969461988, "latency_mean_ms": 42.87159879970421, "latency_p50_ms": 43.08177569901889, "latency_p90_ms": 47.36404321114093, "latency_p95_ms": 47.83886774433261, "latency_p99_ms": 47.83886774433261, "latency_p999_ms": 47.83886774433261, "latency_max_ms": 47.83886774433261, "cpu_ms_per_sample": 11.689328496700547, "energy_mj_per_sample": 70.00000000000001, "peak_memory_mb": 152.0, "requests": 344.0}}');
INSERT INTO "trial_user_attributes" VALUES(17,17,'record','{"phase": "search", "round": 1, "step": 16, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 4, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 4, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 672.605046086377, "latency_mean_ms": 23.78810580309749, "latency_p50_ms": 22.866713591703835, "latency_p90_ms": 27.228010768066532, "latency_p95_ms": 27.228010768066532, "latency_p99_ms": 27.228010768066532, "latency_p999_ms": 27.228010768066532, "latency_max_ms": 27.228010768066532, "cpu_ms_per_sample": 12.594255976633765, "energy_mj_per_sample": 69.99999999999999, "peak_memory_mb": 136.0, "requests": 208.0}}');
INSERT INTO "trial_user_attributes" VALUES(18,18,'record','{"phase": "search", "round": 1, "step": 17, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 780.2968521089551, "latency_mean_ms": 41.01003344241577, "latency_p50_ms": 40.7818493460613, "latency_p90_ms": 44.83550743478469, "latency_p95_ms": 46.42848597547435, "latency_p99_ms": 46.42848597547435, "latency_p999_ms": 46.42848597547435, "latency_max_ms": 46.42848597547435, "cpu_ms_per_sample": 10.063823809553764, "energy_mj_per_sample": 57.50000000000001, "peak_memory_mb": 212.0, "requests": 720.0}}');
INSERT INTO "trial_user_attributes" VALUES(19,19,'record','{"phase": "search", "round": 1, "step": 18, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.02483245093038825, "metrics": {"throughput": 654.0459412730041, "latency_mean_ms": 48.9262267077397, "latency_p50_ms": 48.07806208305426, "latency_p90_ms": 54.73492906634595, "latency_p95_ms": 54.73492906634595, "latency_p99_ms": 54.73492906634595, "latency_p999_ms": 54.73492906634595, "latency_max_ms": 54.73492906634595, "cpu_ms_per_sample": 12.296337871445415, "energy_mj_per_sample": 72.5, "peak_memory_mb": 152.0, "requests": 416.0}}');
INSERT INTO "trial_user_attributes" VALUES(20,20,'record','{"phase": "search", "round": 1, "step": 19, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 2, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 884.5904155526624, "latency_mean_ms": 36.17493411344218, "latency_p50_ms": 36.18107229070433, "latency_p90_ms": 39.7774196536045, "latency_p95_ms": 40.17618828563187, "latency_p99_ms": 40.17618828563187, "latency_p999_ms": 40.17618828563187, "latency_max_ms": 40.17618828563187, "cpu_ms_per_sample": 9.421715679934238, "energy_mj_per_sample": 55.0, "peak_memory_mb": 292.0, "requests": 816.0}}');
INSERT INTO "trial_user_attributes" VALUES(21,21,'record','{"phase": "search", "round": 1, "step": 20, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 849.2097221241667, "latency_mean_ms": 37.68209332313925, "latency_p50_ms": 37.65389678971145, "latency_p90_ms": 41.603624026797746, "latency_p95_ms": 42.020700357666385, "latency_p99_ms": 42.020700357666385, "latency_p999_ms": 42.020700357666385, "latency_max_ms": 42.020700357666385, "cpu_ms_per_sample": 10.931799889340443, "energy_mj_per_sample": 68.75, "peak_memory_mb": 152.0, "requests": 196.0}}');
INSERT INTO "trial_user_attributes" VALUES(22,22,'record','{"phase": "search", "round": 1, "step": 21, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 853.3448708217336, "latency_mean_ms": 37.49949298832183, "latency_p50_ms": 37.65389678971145, "latency_p90_ms": 41.396640822684326, "latency_p95_ms": 41.81164214693173, "latency_p99_ms": 41.81164214693173, "latency_p999_ms": 41.81164214693173, "latency_max_ms": 41.81164214693173, "cpu_ms_per_sample": 10.561967421127756, "energy_mj_per_sample": 68.75000000000001, "peak_memory_mb": 152.0, "requests": 196.0}}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,-5.37111192717045771161e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,0.396627397193105,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,-3.67197152487774347573e-01,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,2.91224904090879199713e-01,'FINITE');
INSERT INTO "trial_values" VALUES(5,5,0,3.06756633063408279404e-01,'FINITE');
INSERT INTO "trial_values" VALUES(6,6,0,1.48381193011719814123e-01,'FINITE');
INSERT INTO "trial_values" VALUES(7,7,0,-3.95946003364056275941e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,8,0,3.05946885839987081645e-01,'FINITE');
INSERT INTO "trial_values" VALUES(9,9,0,-1.43832456730988239579e-01,'FINITE');
INSERT INTO "trial_values" VALUES(10,10,0,-5.38424107655293360252e-01,'FINITE');
INSERT INTO "trial_values" VALUES(11,11,0,7.61940639209134212839e-02,'FINITE');
INSERT INTO "trial_values" VALUES(12,12,0,-3.05563272240263805734e-01,'FINITE');
INSERT INTO "trial_values" VALUES(13,13,0,0.274123991030547,'FINITE');
INSERT INTO "trial_values" VALUES(14,14,0,1.73507961253562936754e-01,'FINITE');
INSERT INTO "trial_values" VALUES(15,15,0,-1.29639668487378156847e+00,'FINITE');
INSERT INTO "trial_values" VALUES(16,16,0,7.96308831436618458354e-02,'FINITE');
INSERT INTO "trial_values" VALUES(17,17,0,3.26778635729448665991e-02,'FINITE');
INSERT INTO "trial_values" VALUES(18,18,0,1.74369243300936421769e-01,'FINITE');
INSERT INTO "trial_values" VALUES(19,19,0,-4.37203076554250058549e-02,'FINITE');
INSERT INTO "trial_values" VALUES(20,20,0,2.50527768810578310709e-01,'FINITE');
INSERT INTO "trial_values" VALUES(21,21,0,1.4803896587137524432e-01,'FINITE');
INSERT INTO "trial_values" VALUES(22,22,0,1.23226087399785494413e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-28 14:48:20.632163','2026-11-28 14:48:20.653803');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-28 14:48:20.658360','2026-11-28 14:48:20.681903');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-28 14:48:20.687523','2026-11-28 14:48:20.705219');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-28 14:48:20.719193','2026-11-28 14:48:20.731262');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-28 14:48:20.739416','2026-11-28 14:48:20.751297');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-28 14:48:20.758002','2026-11-28 14:48:20.767469');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-28 14:48:20.774862','2026-11-28 14:48:20.784655');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-28 14:48:20.862138','2026-11-28 14:48:20.873132');
INSERT INTO "trials" VALUES(9,8,1,'COMPLETE','2026-11-28 14:48:20.880201','2026-11-28 14:48:20.889849');
INSERT INTO "trials" VALUES(10,9,1,'COMPLETE','2026-11-28 14:48:20.896984','2026-11-28 14:48:20.906586');
INSERT INTO "trials" VALUES(11,10,1,'COMPLETE','2026-11-28 14:48:20.913809','2026-11-28 14:48:20.923475');
INSERT INTO "trials" VALUES(12,11,1,'COMPLETE','2026-11-28 14:48:20.930731','2026-11-28 14:48:20.940854');
INSERT INTO "trials" VALUES(13,12,1,'COMPLETE','2026-11-28 14:48:20.948220','2026-11-28 14:48:20.957981');
INSERT INTO "trials" VALUES(14,13,1,'COMPLETE','2026-11-28 14:48:20.965323','2026-11-28 14:48:20.974889');
INSERT INTO "trials" VALUES(15,14,1,'COMPLETE','2026-11-28 14:48:20.982411','2026-11-28 14:48:20.992168');
INSERT INTO "trials" VALUES(16,15,1,'COMPLETE','2026-11-28 14:48:20.999673','2026-11-28 14:48:21.009163');
INSERT INTO "trials" VALUES(17,16,1,'COMPLETE','2026-11-28 14:48:21.016882','2026-11-28 14:48:21.026808');
INSERT INTO "trials" VALUES(18,17,1,'COMPLETE','2026-11-28 14:48:21.034764','2026-11-28 14:48:21.044812');
INSERT INTO "trials" VALUES(19,18,1,'COMPLETE','2026-11-28 14:48:21.053031','2026-11-28 14:48:21.062887');
INSERT INTO "trials" VALUES(20,19,1,'COMPLETE','2026-11-28 14:48:21.070727','2026-11-28 14:48:21.080322');
INSERT INTO "trials" VALUES(21,20,1,'COMPLETE','2026-11-28 14:48:21.088677','2026-11-28 14:48:21.098783');
INSERT INTO "trials" VALUES(22,21,1,'COMPLETE','2026-11-28 14:48:21.107349','2026-11-28 14:48:21.117803');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
