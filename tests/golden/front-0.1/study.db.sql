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
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',1,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["throughput", "latency_p90_ms"]');
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
INSERT INTO "trial_params" VALUES(19,4,'infer_requests',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(20,4,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(21,5,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(22,5,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(23,5,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(24,5,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(25,5,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(26,6,'NUM_STREAMS',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(27,6,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(28,6,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(29,6,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(30,6,'batch_size',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(31,7,'NUM_STREAMS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(32,7,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(33,7,'ENABLE_CPU_PINNING',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(34,7,'infer_requests',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(35,7,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(36,8,'NUM_STREAMS',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(37,8,'INFERENCE_NUM_THREADS',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}');
INSERT INTO "trial_params" VALUES(38,8,'ENABLE_CPU_PINNING',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [true, false]}}');
INSERT INTO "trial_params" VALUES(39,8,'infer_requests',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
INSERT INTO "trial_params" VALUES(40,8,'batch_size',3.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 3}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'record','{"phase": "search", "round": 1, "step": 0, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4, "ENABLE_CPU_PINNING": false}, "batch_size": 2, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "4", "ENABLE_CPU_PINNING": "False"}, "batch_size": 2, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 390.9747103153703, "latency_mean_ms": 40.923363015203684, "latency_p50_ms": 41.81164214693173, "latency_p90_ms": 45.96766018214834, "latency_p95_ms": 46.19749848305906, "latency_p99_ms": 46.19749848305906, "latency_p999_ms": 46.19749848305906, "latency_max_ms": 46.19749848305906, "cpu_ms_per_sample": 9.991482739045484, "energy_mj_per_sample": 57.50000000000001, "peak_memory_mb": 156.0, "requests": 368.0}}');
INSERT INTO "trial_user_attributes" VALUES(2,2,'record','{"phase": "search", "round": 1, "step": 1, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 4, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 4, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 943.2327699028408, "latency_mean_ms": 67.85175626011427, "latency_p50_ms": 66.48764770020757, "latency_p90_ms": 73.09642575274496, "latency_p95_ms": 78.77475621312219, "latency_p99_ms": 78.77475621312219, "latency_p999_ms": 78.77475621312219, "latency_max_ms": 78.77475621312219, "cpu_ms_per_sample": 9.47710609932001, "energy_mj_per_sample": 52.5, "peak_memory_mb": 324.0, "requests": 464.0}}');
INSERT INTO "trial_user_attributes" VALUES(3,3,'record','{"phase": "search", "round": 1, "step": 2, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4, "ENABLE_CPU_PINNING": true}, "batch_size": 8, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "4", "ENABLE_CPU_PINNING": "True"}, "batch_size": 8, "infer_requests": 32, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 406.248246156121, "latency_mean_ms": 630.1565666368915, "latency_p50_ms": 630.4270223436789, "latency_p90_ms": 693.090575847293, "latency_p95_ms": 703.539002914513, "latency_p99_ms": 703.539002914513, "latency_p999_ms": 703.539002914513, "latency_max_ms": 703.539002914513, "cpu_ms_per_sample": 10.313621193167183, "energy_mj_per_sample": 53.75, "peak_memory_mb": 396.0, "requests": 384.0}}');
INSERT INTO "trial_user_attributes" VALUES(4,4,'record','{"phase": "search", "round": 1, "step": 3, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 8, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 8, "infer_requests": 8, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 911.1312975596776, "latency_mean_ms": 70.24234615956446, "latency_p50_ms": 69.88783478267769, "latency_p90_ms": 76.83458661745011, "latency_p95_ms": 78.77475621312219, "latency_p99_ms": 78.77475621312219, "latency_p999_ms": 78.77475621312219, "latency_max_ms": 78.77475621312219, "cpu_ms_per_sample": 9.788236761703443, "energy_mj_per_sample": 51.25, "peak_memory_mb": 324.0, "requests": 216.0}}');
INSERT INTO "trial_user_attributes" VALUES(5,5,'record','{"phase": "search", "round": 1, "step": 4, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 320.6990489641707, "latency_mean_ms": 12.472752921842591, "latency_p50_ms": 12.505765467128017, "latency_p90_ms": 13.748820849715685, "latency_p95_ms": 13.886652778734081, "latency_p99_ms": 13.886652778734081, "latency_p999_ms": 13.886652778734081, "latency_max_ms": 13.886652778734081, "cpu_ms_per_sample": 12.157228139911055, "energy_mj_per_sample": 60.0, "peak_memory_mb": 264.0, "requests": 584.0}}');
INSERT INTO "trial_user_attributes" VALUES(6,6,'record','{"phase": "search", "round": 1, "step": 5, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "2", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 1, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 525.3031459299402, "latency_mean_ms": 7.614650761169212, "latency_p50_ms": 7.594585994084254, "latency_p90_ms": 8.349477089978077, "latency_p95_ms": 8.475346500794126, "latency_p99_ms": 8.475346500794126, "latency_p999_ms": 8.475346500794126, "latency_max_ms": 8.475346500794126, "cpu_ms_per_sample": 14.378104033421067, "energy_mj_per_sample": 67.50000000000001, "peak_memory_mb": 144.0, "requests": 952.0}}');
INSERT INTO "trial_user_attributes" VALUES(7,7,'record','{"phase": "search", "round": 1, "step": 6, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": true}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "True"}, "batch_size": 8, "infer_requests": 4, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 716.8331418959789, "latency_mean_ms": 44.64079313543177, "latency_p50_ms": 44.612445208740986, "latency_p90_ms": 49.04685910310762, "latency_p95_ms": 49.78624663494434, "latency_p99_ms": 49.78624663494434, "latency_p999_ms": 49.78624663494434, "latency_max_ms": 49.78624663494434, "cpu_ms_per_sample": 11.417216311580187, "energy_mj_per_sample": 53.75, "peak_memory_mb": 212.0, "requests": 168.0}}');
INSERT INTO "trial_user_attributes" VALUES(8,8,'record','{"phase": "search", "round": 1, "step": 7, "config": {"device": "CPU", "properties": {"NUM_STREAMS": 8, "INFERENCE_NUM_THREADS": 8, "ENABLE_CPU_PINNING": false}, "batch_size": 8, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "effective": {"properties": {"NUM_STREAMS": "8", "INFERENCE_NUM_THREADS": "8", "ENABLE_CPU_PINNING": "False"}, "batch_size": 8, "infer_requests": 16, "api": "async", "variant": "default", "replicas": 1, "affinity": "shared"}, "sd": 0.020674470879325873, "metrics": {"throughput": 889.3067888825922, "latency_mean_ms": 143.93233201427722, "latency_p50_ms": 142.60948674462117, "latency_p90_ms": 156.78466782985214, "latency_p95_ms": 163.16690819003705, "latency_p99_ms": 163.16690819003705, "latency_p999_ms": 163.16690819003705, "latency_max_ms": 163.16690819003705, "cpu_ms_per_sample": 10.630157231882993, "energy_mj_per_sample": 51.24999999999999, "peak_memory_mb": 388.0, "requests": 240.0}}');
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
INSERT INTO "trial_values" VALUES(1,1,0,-5.38597927421605060516e-01,'FINITE');
INSERT INTO "trial_values" VALUES(2,1,1,-1.94019521064008393373e+00,'FINITE');
INSERT INTO "trial_values" VALUES(3,2,0,3.65698934737105463277e-01,'FINITE');
INSERT INTO "trial_values" VALUES(4,2,1,-2.38875592788825308332e+00,'FINITE');
INSERT INTO "trial_values" VALUES(5,3,0,-4.12113651605800379584e-01,'FINITE');
INSERT INTO "trial_values" VALUES(6,3,1,-4.5636987425896640147e+00,'FINITE');
INSERT INTO "trial_values" VALUES(7,4,0,4.08574488522492562658e-01,'FINITE');
INSERT INTO "trial_values" VALUES(8,4,1,-2.34923101085631902407e+00,'FINITE');
INSERT INTO "trial_values" VALUES(9,5,0,-5.81840673370489724902e-01,'FINITE');
INSERT INTO "trial_values" VALUES(10,5,1,-5.83488504599164681252e-01,'FINITE');
INSERT INTO "trial_values" VALUES(11,6,0,-5.49428608788798955586e-02,'FINITE');
INSERT INTO "trial_values" VALUES(12,6,1,-5.42914674899557248011e-02,'FINITE');
INSERT INTO "trial_values" VALUES(13,7,0,2.64560301065557557098e-01,'FINITE');
INSERT INTO "trial_values" VALUES(14,7,1,-1.81069861703366719041e+00,'FINITE');
INSERT INTO "trial_values" VALUES(15,8,0,4.59033071979157880626e-01,'FINITE');
INSERT INTO "trial_values" VALUES(16,8,1,-3.00690178500229388092e+00,'FINITE');
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
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-28 14:48:21.288882','2026-11-28 14:48:21.303495');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-28 14:48:21.307922','2026-11-28 14:48:21.317510');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-28 14:48:21.321610','2026-11-28 14:48:21.331394');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-28 14:48:21.337610','2026-11-28 14:48:21.350493');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-28 14:48:21.356782','2026-11-28 14:48:21.368209');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-28 14:48:21.374736','2026-11-28 14:48:21.384646');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-28 14:48:21.390935','2026-11-28 14:48:21.400507');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-28 14:48:21.407092','2026-11-28 14:48:21.417192');
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
