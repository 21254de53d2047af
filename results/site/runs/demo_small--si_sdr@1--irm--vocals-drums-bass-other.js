keepFrames("runs/demo_small--si_sdr@1--irm--vocals-drums-bass-other.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[961],"drums SI-SDR":[693],"bass SI-SDR":[754],"other SI-SDR":[933]}},
{"step":1.0,"frames":{"vocals SI-SDR":[823],"drums SI-SDR":[1007],"bass SI-SDR":[813],"other SI-SDR":[766]}},
{"step":1.0,"frames":{"vocals SI-SDR":[822],"drums SI-SDR":[1089],"bass SI-SDR":[388],"other SI-SDR":[399]}},
{"step":1.0,"frames":{"vocals SI-SDR":[1144],"drums SI-SDR":[1116],"bass SI-SDR":[942],"other SI-SDR":[1045]}},
{"step":1.0,"frames":{"vocals SI-SDR":[879],"drums SI-SDR":[1151],"bass SI-SDR":[354],"other SI-SDR":[942]}},
{"step":1.0,"frames":{"vocals SI-SDR":[889],"drums SI-SDR":[646],"bass SI-SDR":[328],"other SI-SDR":[656]}}
]);
