keepFrames("runs/demo_small--si_sdr@1--bs_roformer--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-71],"drums SI-SDR":[-113],"bass SI-SDR":[299],"other SI-SDR":[-195]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-31],"drums SI-SDR":[486],"bass SI-SDR":[386],"other SI-SDR":[117]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-107],"drums SI-SDR":[538],"bass SI-SDR":[-401],"other SI-SDR":[-220]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-347],"drums SI-SDR":[539],"bass SI-SDR":[499],"other SI-SDR":[-228]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-276],"drums SI-SDR":[702],"bass SI-SDR":[-154],"other SI-SDR":[-302]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-26],"drums SI-SDR":[178],"bass SI-SDR":[-330],"other SI-SDR":[-42]}}
]);
