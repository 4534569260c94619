import ModelCore

extension Forward {
  /// Classes that hand everything on to the model inside.
  static let wrappers: [String: Forward] = [
    "torch.nn.parallel.data_parallel.DataParallel": .handOn(to: "module"),
    "torch.nn.parallel.distributed.DistributedDataParallel": .handOn(to: "module"),
    "torch.optim.swa_utils.AveragedModel": .handOn(to: "module"),
    "torch._dynamo.eval_frame.OptimizedModule": .handOn(to: "_orig_mod"),
    // What torch.hub gives of YOLOv5, for pictures that are tensors already.
    "models.common.AutoShape": .handOn(to: "model").inferenceOnly,
    "models.common.DetectMultiBackend": lists { backend, inputs in
      // Its other backends hold no module.
      guard try backend.bool("pt"), try !backend.bool("fp16") else {
        throw ModelError(.unsupported, "only float32 models of PyTorch are known in it", subject: backend.path)
      }
      return try backend.call("model", inputs)
    }.inferenceOnly,
  ]

  private static func handOn(to child: String) -> Forward { lists { try $0.call(child, $1) } }
}
