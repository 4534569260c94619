import Foundation
import Testing

/// `mutils seed`: rows, JSON, files, refusals. Interop compares the numbers with the originals' for many seeds.
@Suite struct SeedToolTests {
  @Test func rows() throws {
    let torch = try Tool.run("seed", "--shape", "2x3")
    #expect(torch.status == 0 && torch.error.isEmpty)
    #expect(torch.output == " 0.4962566  0.7682218 0.08847743\n0.13203049 0.30742282  0.6340787\n")
    #expect(try Tool.run("seed", "--distribution", "permutation").output == "4 1 7 5 3 9 0 8 6 2\n")
    #expect(try Tool.run("seed", "--shape", "0").output.isEmpty)
    #expect(try Tool.run("seed", "--shape", "2x0").output.isEmpty)
    let numpy = try Tool.run("seed", "--generator", "numpy", "--shape", "2")
    #expect(numpy.output == "0.5488135039273248 0.7151893663724195\n")
    #expect(try Tool.run("seed", "--generator", "python", "--shape", "1").output == "0.8444218515250481\n")
  }

  @Test func json() throws {
    // torch.randn(2, 2), float32 widened to double; compared as text, since reading it here is not exact.
    let normal = try Tool.run("seed", "--distribution", "normal", "--shape", "2x2", "--json").output
    let values = "1.5409960746765137,-0.293428897857666,-2.1787893772125244,0.5684312582015991"
    #expect(normal == "{\"shape\":[2,2],\"values\":[\(values)]}\n")
    let integers = try Tool.run(
      "seed", "--distribution", "integers", "--low", "-5", "--high", "-1", "--seed", "-7", "--generator", "python",
      "--shape", "4", "--json"
    ).json
    #expect(integers["values"] as? [Int] == [-3, -4, -2, -5])
    let empty = try Tool.run("seed", "--shape", "3x0x2", "--json").json
    #expect(empty["shape"] as? [Int] == [3, 0, 2] && (empty["values"] as? [Any])?.isEmpty == true)
  }

  @Test func files() throws {
    let folder = try Folder()
    for name in ["draws.pt", "draws.safetensors"] {
      let path = folder.path(name)
      let result = try Tool.run("seed", "--shape", "5x7", "--dtype", "float16", "-o", path)
      #expect(result.status == 0 && result.output == "Saved \(path): 35 float16 numbers\n")
      #expect(try Tool.run("info", path, "--json").json["parameters"] as? Int == 35)
      let again = try Tool.run("seed", "-o", path)
      #expect(
        again.status == 1 && again.error == "mutils: error: \(path): exists already; give --force to replace it\n")
      let json = try Tool.run("seed", "-o", path, "--force", "--json").json
      #expect(json["output"] as? String == path && (json["values"] as? [Double])?.count == 10)
    }
    #expect(try folder.names == ["draws.pt", "draws.safetensors"])
    #expect(try Tool.run("seed", "-o", folder.path("draws.txt")).status == 1)
  }

  @Test(
    arguments: [
      (
        ["--generator", "numpy", "--distribution", "bernoulli"],
        "the numpy generator has no bernoulli; use --generator torch"
      ),
      (
        ["--generator", "python", "--dtype", "float32"],
        "the python generator draws uniform numbers as float64 alone; use --generator torch"
      ),
      (["--generator", "numpy", "--seed", "-1"], "NumPy's generator takes no negative seed"),
      (
        ["--generator", "numpy", "--seed", "4294967296"],
        "NumPy's generator takes a seed from 0 to 4294967295, not 4294967296"
      ),
      (["--low", "1", "--high", "0"], "the range from 1.0 to 0.0 is empty"),
      (["--distribution", "integers", "--low", "10"], "the range from 10 to below 10 is empty"),
      (
        ["--distribution", "permutation", "--shape", "129", "--dtype", "int8"],
        "the range from 0 to below 129 goes beyond int8"
      ),
      (["--dtype", "complex64"], "complex64 numbers cannot be drawn"),
      (
        ["--distribution", "normal", "--std", "3e38", "--shape", "99"],
        "numbers beyond float32 were drawn: they are infinite"
      ),
      (
        ["--shape", "3000x3000"],
        "more than 4194304 numbers are not printed; give --output without --json to write them"
      ),
    ] as [([String], String)])
  func refusals(options: [String], reason: String) throws {
    let result = try Tool.run(["seed"] + options)
    #expect(result.status == 1 && result.output.isEmpty)
    #expect(result.error == "mutils: error: \(reason)\n")
  }

  @Test(arguments: [
    ["--shape", "3x"], ["--shape", "-3"], ["--seed", "1.5"], ["--seed", "18446744073709551616"], ["--p", "2"],
    ["--high", "nan"], ["--mean", "inf"], ["--dtype", "float31"], ["--generator", "ruby"],
    ["--distribution", "integers", "--low", "1.5"], ["--distribution", "normal", "--low", "1"],
    ["--distribution", "permutation", "--shape", "2x3"],
  ])
  func wrongUsage(options: [String]) throws {
    #expect(try Tool.run(["seed"] + options).status == 64)
  }
}
