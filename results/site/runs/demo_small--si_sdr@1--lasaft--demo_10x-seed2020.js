keepFrames("runs/demo_small--si_sdr@1--lasaft--demo_10x-seed2020.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[236],"drums SI-SDR":[248],"bass SI-SDR":[508],"other SI-SDR":[216]}},
{"step":1.0,"frames":{"vocals SI-SDR":[247],"drums SI-SDR":[791],"bass SI-SDR":[561],"other SI-SDR":[285]}},
{"step":1.0,"frames":{"vocals SI-SDR":[419],"drums SI-SDR":[937],"bass SI-SDR":[6],"other SI-SDR":[32]}},
{"step":1.0,"frames":{"vocals SI-SDR":[476],"drums SI-SDR":[1049],"bass SI-SDR":[763],"other SI-SDR":[539]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-34],"drums SI-SDR":[932],"bass SI-SDR":[3],"other SI-SDR":[200]}},
{"step":1.0,"frames":{"vocals SI-SDR":[297],"drums SI-SDR":[362],"bass SI-SDR":[-85],"other SI-SDR":[164]}}
]);
