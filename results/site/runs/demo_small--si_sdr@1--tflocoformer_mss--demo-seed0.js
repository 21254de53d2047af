keepFrames("runs/demo_small--si_sdr@1--tflocoformer_mss--demo-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-45],"drums SI-SDR":[-43],"bass SI-SDR":[279],"other SI-SDR":[-124]}},
{"step":1.0,"frames":{"vocals SI-SDR":[36],"drums SI-SDR":[603],"bass SI-SDR":[432],"other SI-SDR":[94]}},
{"step":1.0,"frames":{"vocals SI-SDR":[99],"drums SI-SDR":[708],"bass SI-SDR":[-135],"other SI-SDR":[-163]}},
{"step":1.0,"frames":{"vocals SI-SDR":[51],"drums SI-SDR":[771],"bass SI-SDR":[547],"other SI-SDR":[106]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-278],"drums SI-SDR":[703],"bass SI-SDR":[-67],"other SI-SDR":[-57]}},
{"step":1.0,"frames":{"vocals SI-SDR":[81],"drums SI-SDR":[180],"bass SI-SDR":[-234],"other SI-SDR":[33]}}
]);
