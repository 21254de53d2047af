keepFrames("runs/demo_small--si_sdr@1--moises_light--demo-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-167],"drums SI-SDR":[-444],"bass SI-SDR":[20],"other SI-SDR":[-48]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-119],"drums SI-SDR":[-174],"bass SI-SDR":[-109],"other SI-SDR":[-2]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-14],"drums SI-SDR":[173],"bass SI-SDR":[-656],"other SI-SDR":[-315]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-206],"drums SI-SDR":[-137],"bass SI-SDR":[-83],"other SI-SDR":[45]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-321],"drums SI-SDR":[84],"bass SI-SDR":[-651],"other SI-SDR":[-83]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-109],"drums SI-SDR":[-106],"bass SI-SDR":[-462],"other SI-SDR":[-10]}}
]);
