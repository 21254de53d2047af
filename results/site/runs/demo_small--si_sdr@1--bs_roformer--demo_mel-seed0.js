keepFrames("runs/demo_small--si_sdr@1--bs_roformer--demo_mel-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-176],"drums SI-SDR":[-302],"bass SI-SDR":[183],"other SI-SDR":[-109]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-120],"drums SI-SDR":[196],"bass SI-SDR":[157],"other SI-SDR":[-5]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-170],"drums SI-SDR":[240],"bass SI-SDR":[-537],"other SI-SDR":[-285]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-67],"drums SI-SDR":[443],"bass SI-SDR":[371],"other SI-SDR":[56]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-301],"drums SI-SDR":[150],"bass SI-SDR":[-337],"other SI-SDR":[-31]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-56],"drums SI-SDR":[-81],"bass SI-SDR":[-459],"other SI-SDR":[-13]}}
]);
