keepFrames("runs/demo_small--si_sdr@1--bs_roformer--demo-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-260],"drums SI-SDR":[-472],"bass SI-SDR":[90],"other SI-SDR":[-160]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-304],"drums SI-SDR":[-146],"bass SI-SDR":[1],"other SI-SDR":[10]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-204],"drums SI-SDR":[10],"bass SI-SDR":[-734],"other SI-SDR":[-293]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-79],"drums SI-SDR":[-72],"bass SI-SDR":[113],"other SI-SDR":[76]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-217],"drums SI-SDR":[226],"bass SI-SDR":[-351],"other SI-SDR":[-118]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-116],"drums SI-SDR":[-114],"bass SI-SDR":[-606],"other SI-SDR":[-63]}}
]);
