keepFrames("runs/demo_small--si_sdr@1--bs_roformer--demo-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-203],"drums SI-SDR":[-441],"bass SI-SDR":[41],"other SI-SDR":[-188]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-201],"drums SI-SDR":[-30],"bass SI-SDR":[22],"other SI-SDR":[-4]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-143],"drums SI-SDR":[218],"bass SI-SDR":[-742],"other SI-SDR":[-335]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-112],"drums SI-SDR":[20],"bass SI-SDR":[91],"other SI-SDR":[-15]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-202],"drums SI-SDR":[199],"bass SI-SDR":[-403],"other SI-SDR":[-126]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-117],"drums SI-SDR":[-66],"bass SI-SDR":[-670],"other SI-SDR":[-71]}}
]);
