import ModelCore
import Testing

@Suite struct DeParallelTests {
  @Test func wrappers() throws {
    let model = Module(ClassName("models.yolo", "DetectionModel"))
    let parallel = Module(ClassName("torch.nn.parallel.data_parallel", "DataParallel"), children: ["module": model])
    let compiled = Module(ClassName("torch._dynamo.eval_frame", "OptimizedModule"), children: ["_orig_mod": parallel])
    #expect(isParallel(parallel) && isParallel(compiled) && !isParallel(model))
    #expect(deParallel(compiled).identity == model.identity && deParallel(model).identity == model.identity)
    // A class of that child's name alone is no wrapper.
    #expect(!isParallel(Module(ClassName("a", "B"), children: ["module": model])))
  }

  @Test func prefixes() throws {
    let x = try Tensor([1])
    #expect(isParallel(StateDict(["module.a": x, "module.b": x])) && !isParallel(StateDict(["module.a": x, "b": x])))
    #expect(Array(deParallel(StateDict(["_orig_mod.module.a": x])).names) == ["a"])
    #expect(!isParallel(StateDict()))
  }
}
