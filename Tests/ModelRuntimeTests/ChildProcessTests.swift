import ModelRuntime
import Testing

@Suite struct ChildProcessTests {
  @Test(arguments: [
    ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143), ("kill -2 $$", 130),
    ("kill -13 $$", 141),
  ])
  func statuses(_ script: String, _ status: Int) throws {
    #expect(try Int(ChildProcess(["sh", "-c", script]).wait()) == status)
  }

  @Test func isReleasedAfterItEnded() throws {
    let child = try ChildProcess(["sh", "-c", "sleep 0.05; exit 3"])
    var calls = 0
    #expect(child.wait { calls += 1 } == 3 && calls == 1)
  }

  @Test(arguments: [("no-such-program", 127), ("/no/such", 127), ("/etc", 126), ("/dev/null", 126)])
  func cannotBeRun(_ name: String, _ status: Int) {
    do {
      _ = try ChildProcess([name])
      Issue.record("it ran")
    } catch {
      #expect(Int(error.status) == status && error.error.description.hasPrefix("\(name): cannot be run: "))
    }
  }
}
