import ModelCore

extension Forward {
  /// Classes that hand everything on to the model inside.
  static let wrappers: [String: Forward] = [
    "torch.nn.parallel.data_parallel.DataParallel": .handOn(to: "module"),
    "torch.nn.parallel.distributed.DistributedDataParallel": .handOn(to: "module"),
    "torch.optim.swa_utils.AveragedModel": .handOn(to: "module"),
    "torch._dynamo.eval_frame.OptimizedModule": .handOn(to: "_orig_mod"),
  ]

  private static func handOn(to child: String) -> Forward { lists { try $0.call(child, $1) } }
}
