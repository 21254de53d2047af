keepFrames("runs/demo_small--si_sdr@1--moises_light--demo-seed1.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-62],"drums SI-SDR":[-399],"bass SI-SDR":[-46],"other SI-SDR":[-153]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-152],"drums SI-SDR":[21],"bass SI-SDR":[-230],"other SI-SDR":[-20]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-2],"drums SI-SDR":[476],"bass SI-SDR":[-913],"other SI-SDR":[-272]}},
{"step":1.0,"frames":{"vocals SI-SDR":[29],"drums SI-SDR":[93],"bass SI-SDR":[-237],"other SI-SDR":[-8]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-535],"drums SI-SDR":[270],"bass SI-SDR":[-825],"other SI-SDR":[-447]}},
{"step":1.0,"frames":{"vocals SI-SDR":[111],"drums SI-SDR":[44],"bass SI-SDR":[-600],"other SI-SDR":[76]}}
]);
