keepFrames("runs/demo_small--si_sdr@1--tflocoformer_mss--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[308],"drums SI-SDR":[159],"bass SI-SDR":[458],"other SI-SDR":[233]}},
{"step":1.0,"frames":{"vocals SI-SDR":[415],"drums SI-SDR":[829],"bass SI-SDR":[626],"other SI-SDR":[386]}},
{"step":1.0,"frames":{"vocals SI-SDR":[279],"drums SI-SDR":[860],"bass SI-SDR":[-51],"other SI-SDR":[-82]}},
{"step":1.0,"frames":{"vocals SI-SDR":[616],"drums SI-SDR":[951],"bass SI-SDR":[688],"other SI-SDR":[583]}},
{"step":1.0,"frames":{"vocals SI-SDR":[90],"drums SI-SDR":[917],"bass SI-SDR":[36],"other SI-SDR":[277]}},
{"step":1.0,"frames":{"vocals SI-SDR":[385],"drums SI-SDR":[347],"bass SI-SDR":[-137],"other SI-SDR":[228]}}
]);
