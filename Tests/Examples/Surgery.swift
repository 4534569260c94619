import ModelUtils
import Testing

@Suite struct Surgery {
  @Test func pruning() throws {
    var net = try smallNet()

    let report = try net.prune(amount: 0.3)
    print(report, try net.sparsity(after: report))
    try net.prune(PruneOptions(amount: .share(0.5), method: .global, exclude: [Glob("head.*")]))
    #expect(abs(report.sparsity - 0.3) < 0.01)
    #expect(try net.prune(PruneOptions(method: .pattern(keep: 2, group: 4))).layers.count == 1)
  }

  @Test func fusing() throws {
    var net = try smallNet()

    let merged = try net.reparameterize()
    let fused = try net.fuse()
    print(merged.merged, fused)
    #expect(merged.merged.isEmpty)
    #expect(fused.parametersBefore - fused.parametersAfter == 4)
  }

  @Test func ofAStateDict() throws {
    var state = try smallNet().stateDict()

    let report = try state.fuse([PairPattern("0=1")], eps: 1e-5)
    #expect(report.fused.map(\.bn) == ["1"])
    #expect(state["1.running_var"] == nil)
  }

  @Test func averaging() throws {
    let steps = [try smallNet(), try smallNet()]

    var ema = try ModelEMA(steps[0], decay: 0.9999, tau: 2000)
    for step in steps.dropFirst() {
      let update = try ema.update(step)
      print(ema.updates, update.decay)
    }
    let averaged = ema.average
    #expect(ema.updates == 1)
    #expect(averaged.module?.isTraining == false)
  }

  @Test func transferring() throws {
    var generator = TorchGenerator(seed: 1)
    var target = try smallNet()
    target.children["5"] = try .linear(4, 5, using: &generator)
    let pretrained = try smallNet().stateDict()

    let report = try target.transfer(from: pretrained)
    print(report)
    for entry in report.skipped { print(entry.name, entry.reason) }
    #expect(report.transferred.count == 6)
    #expect(report.skipped.count == 2)
  }

  @Test func looking() throws {
    let net = try smallNet()
    let other = try net.fused()

    print(net.modelInfo(imageSize: (224, 224)).summary(.macs))
    for found in net.findModules(type: Glob("Conv2d")) { print(found.index, found.name, found.type) }
    let check = try WeightCheck(net)
    let difference = try StateDictDiff(net.stateDict(), other.stateDict(), tolerance: 1e-6)
    #expect(!difference.equal)
    #expect(check.findings.allSatisfy { $0.severity != .broken })
    #expect(net.findModules(type: Glob("Conv2d")).map(\.name) == ["0"])
  }
}
