keepFrames("runs/demo_small--si_sdr@1--moises_light--demo-seed2.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-181],"drums SI-SDR":[-328],"bass SI-SDR":[149],"other SI-SDR":[-111]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-180],"drums SI-SDR":[128],"bass SI-SDR":[116],"other SI-SDR":[-105]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-60],"drums SI-SDR":[304],"bass SI-SDR":[-453],"other SI-SDR":[-470]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-235],"drums SI-SDR":[278],"bass SI-SDR":[283],"other SI-SDR":[-25]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-277],"drums SI-SDR":[300],"bass SI-SDR":[-388],"other SI-SDR":[-63]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-170],"drums SI-SDR":[-18],"bass SI-SDR":[-486],"other SI-SDR":[-87]}}
]);
