keepFrames("runs/demo_small--si_sdr@1--bs_roformer--demo_mel-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-126],"drums SI-SDR":[-287],"bass SI-SDR":[170],"other SI-SDR":[-176]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-224],"drums SI-SDR":[323],"bass SI-SDR":[249],"other SI-SDR":[-64]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-21],"drums SI-SDR":[298],"bass SI-SDR":[-520],"other SI-SDR":[-266]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-210],"drums SI-SDR":[442],"bass SI-SDR":[361],"other SI-SDR":[-137]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-232],"drums SI-SDR":[99],"bass SI-SDR":[-374],"other SI-SDR":[-35]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-53],"drums SI-SDR":[-145],"bass SI-SDR":[-453],"other SI-SDR":[-35]}}
]);
