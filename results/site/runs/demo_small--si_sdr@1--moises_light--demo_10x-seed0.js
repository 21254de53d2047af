keepFrames("runs/demo_small--si_sdr@1--moises_light--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[-42],"drums SI-SDR":[-155],"bass SI-SDR":[292],"other SI-SDR":[-201]}},
{"step":1.0,"frames":{"vocals SI-SDR":[132],"drums SI-SDR":[547],"bass SI-SDR":[422],"other SI-SDR":[188]}},
{"step":1.0,"frames":{"vocals SI-SDR":[127],"drums SI-SDR":[696],"bass SI-SDR":[-121],"other SI-SDR":[-176]}},
{"step":1.0,"frames":{"vocals SI-SDR":[294],"drums SI-SDR":[780],"bass SI-SDR":[596],"other SI-SDR":[306]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-361],"drums SI-SDR":[503],"bass SI-SDR":[-215],"other SI-SDR":[-465]}},
{"step":1.0,"frames":{"vocals SI-SDR":[239],"drums SI-SDR":[112],"bass SI-SDR":[-398],"other SI-SDR":[146]}}
]);
