keepFrames("runs/demo_small--si_sdr@1--moises_light--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[8],"drums SI-SDR":[-105],"bass SI-SDR":[289],"other SI-SDR":[-89]}},
{"step":1.0,"frames":{"vocals SI-SDR":[187],"drums SI-SDR":[596],"bass SI-SDR":[438],"other SI-SDR":[212]}},
{"step":1.0,"frames":{"vocals SI-SDR":[176],"drums SI-SDR":[678],"bass SI-SDR":[-152],"other SI-SDR":[-186]}},
{"step":1.0,"frames":{"vocals SI-SDR":[536],"drums SI-SDR":[746],"bass SI-SDR":[529],"other SI-SDR":[420]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-237],"drums SI-SDR":[629],"bass SI-SDR":[-115],"other SI-SDR":[-68]}},
{"step":1.0,"frames":{"vocals SI-SDR":[264],"drums SI-SDR":[178],"bass SI-SDR":[-198],"other SI-SDR":[135]}}
]);
